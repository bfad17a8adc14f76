/**
 * `loss.svg`: training and validation loss against optimiser steps, a mark at each round, and the bigram table's loss
 * as the line that a model must get below to have learned more than pairs of bytes. Drawn by echarts without a page.
 */

import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer]);

/** What is known at the end of one round; losses are mean nats per token. */
export interface LossPoint {
  readonly round: number;
  /** Optimiser steps of each worker until then. */
  readonly step: number;
  readonly trainLoss: number | null;
  readonly validationLoss: number | null;
}

export interface LossPlot {
  readonly title: string;
  readonly points: readonly LossPoint[];
  /** Validation cross-entropy of a bigram table; null draws no line. */
  readonly bigramLoss: number | null;
}

const colors = { train: '#3b6fd4', validation: '#d9622b', bigram: '#6b7280', round: '#e5e7eb', text: '#1f2937' };
/** Without quotes: echarts writes the family into an attribute as it stands. */
const font = 'system-ui, Roboto, Arial, sans-serif';

/** The SVG's text, 860 by 480. */
export function plotLosses({ title, points, bigramLoss }: LossPlot): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 860, height: 480 });
  const ordered = points.toSorted((a, b) => a.step - b.step);
  const losses = ordered.flatMap(({ trainLoss, validationLoss }) => [trainLoss, validationLoss]);
  const drawn = [...losses, bigramLoss].filter((loss) => loss !== null);
  const { minimum, maximum, interval } = axisOf(drawn);
  const line = (name: string, color: string, lossOf: (point: LossPoint) => number | null) => ({
    name,
    type: 'line' as const,
    data: ordered.map((point) => [point.step, lossOf(point)]),
    connectNulls: true,
    symbol: 'circle',
    symbolSize: ordered.length > 60 ? 0 : 6,
    lineStyle: { color, width: 2.5 },
    itemStyle: { color },
  });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: font },
    title: {
      text: title,
      subtext: 'loss in nats per token, lower is better; dotted lines are rounds',
      left: 16,
      top: 12,
      textStyle: { color: colors.text, fontSize: 17, fontFamily: font },
      subtextStyle: { color: colors.bigram, fontSize: 12, fontFamily: font },
    },
    legend: {
      right: 24,
      top: 20,
      icon: 'roundRect',
      itemGap: 22,
      itemWidth: 16,
      itemHeight: 4,
      textStyle: { color: colors.text },
    },
    grid: { left: 72, right: 32, top: 84, bottom: 58 },
    xAxis: {
      type: 'value',
      name: 'optimiser steps of each worker',
      nameLocation: 'middle',
      nameGap: 32,
      min: 0,
      max: ordered.at(-1)?.step ?? 1,
      splitLine: { show: false },
      axisLine: { lineStyle: { color: colors.bigram } },
      nameTextStyle: { color: colors.text, fontSize: 12 },
    },
    yAxis: {
      type: 'value',
      min: minimum,
      max: maximum,
      interval,
      name: 'loss',
      nameLocation: 'middle',
      nameGap: 44,
      axisLabel: { formatter: (value: number) => String(Number(value.toFixed(3))) },
      splitLine: { lineStyle: { color: '#eef0f3' } },
      nameTextStyle: { color: colors.text, fontSize: 12 },
    },
    series: [
      {
        ...line('training', colors.train, (point) => point.trainLoss),
        markLine: roundLines(
          ordered.filter(({ round }, index) => ordered.findIndex((other) => other.round === round) === index),
        ),
      },
      {
        ...line('validation', colors.validation, (point) => point.validationLoss),
        ...(bigramLoss === null ? {} : { markLine: bigramLine(bigramLoss) }),
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** Vertical lines, thinned so that they never become a grey surface. */
function roundLines(points: readonly LossPoint[]) {
  const every = Math.max(1, Math.ceil(points.length / 24));
  return {
    silent: true,
    symbol: 'none',
    label: { show: false },
    lineStyle: { color: '#c3c9d2', type: 'dotted' as const, width: 1 },
    data: points.filter((_point, index) => index % every === 0).map(({ step }) => ({ xAxis: step })),
  };
}

function bigramLine(loss: number) {
  return {
    silent: true,
    symbol: 'none',
    lineStyle: { color: colors.bigram, type: 'dashed' as const, width: 1.5 },
    label: {
      formatter: `bigram table ${loss.toFixed(3)}`,
      position: 'insideEndTop' as const,
      color: colors.bigram,
      fontSize: 12,
    },
    data: [{ yAxis: loss }],
  };
}

/** A range that holds all losses with some air, in steps of 1, 2 or 5 times a power of ten. */
function axisOf(losses: readonly number[]): { minimum: number; maximum: number; interval: number } {
  if (losses.length === 0) return { minimum: 0, maximum: 1, interval: 0.2 };
  const low = Math.min(...losses);
  const high = Math.max(...losses);
  const rough = Math.max(high - low, 0.05) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = ([1, 2, 5].find((step) => step * power >= rough) ?? 10) * power;
  const minimum = Math.max(0, Math.floor((low - interval * 0.2) / interval) * interval);
  return { minimum, maximum: Math.ceil((high + interval * 0.1) / interval) * interval, interval };
}
