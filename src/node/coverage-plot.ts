/**
 * `coverage.svg`: coverage against samples with its errors and its fit, and on the same axes how often selections are right
 * and what thinking longer gives for as many tokens. Both axes below and above count the same: tokens drawn for a problem,
 * and samples of average length. Drawn by echarts without a page.
 */

import { LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { fittedCoverage } from '../inference/coverage.ts';
import type { SelectionName } from '../inference/selection.ts';
import type { EvaluateSummary } from './evaluate-summary.ts';

use([LineChart, ScatterChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const colors = { coverage: '#3b6fd4', fit: '#8fb0ec', thinking: '#1d8a5b', text: '#1f2937', quiet: '#6b7280' };
const selectionColors: Record<SelectionName, string> = {
  majority: '#d9622b',
  logprob: '#9333a8',
  verifier: '#b8860b',
  weighted: '#0e7490',
};
const selectionTexts: Record<SelectionName, string> = {
  majority: 'majority vote',
  logprob: 'likeliest sample',
  verifier: 'best score',
  weighted: 'vote by scores',
};
/** Without quotes: echarts writes the family into an attribute as it stands. */
const font = 'system-ui, Roboto, Arial, sans-serif';

type Plotted = Pick<
  EvaluateSummary,
  'model' | 'problems' | 'samples' | 'coverage' | 'fit' | 'selections' | 'thinking' | 'temperature'
> & { readonly cost: Pick<EvaluateSummary['cost'], 'tokensPerSample'> };

/** The SVG's text, 860 by 520. */
export function plotCoverage(summary: Plotted): string {
  const { coverage, fit, selections, thinking, samples } = summary;
  // Samples without a single token would have no place on the axis.
  const each = Math.max(summary.cost.tokensPerSample, 0.01);
  const low = Math.min(each, ...thinking.map(({ tokens }) => tokens));
  const high = Math.max(each * samples, ...thinking.map(({ tokens }) => tokens));
  const range = { min: low / 1.25, max: high * 1.25 };
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 860, height: 520 });
  const percent = (share: number): number => share * 100;
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: font },
    title: titleOf(summary),
    legend: {
      left: 16,
      top: 60,
      itemGap: 14,
      itemWidth: 18,
      itemHeight: 8,
      textStyle: { color: colors.text },
      data: [
        'any sample (coverage)',
        ...(fit === null ? [] : ['fit']),
        ...namesOf(selections).map((name) => selectionTexts[name]),
        ...(thinking.length === 0 ? [] : ['one sample that thinks']),
      ],
    },
    grid: { left: 72, right: 32, top: 130, bottom: 62 },
    xAxis: [
      logAxis(range, 'tokens drawn for a problem', 'bottom'),
      logAxis({ min: range.min / each, max: range.max / each }, `samples of ${tokensText(each)} on average`, 'top'),
    ],
    yAxis: {
      type: 'value',
      min: 0,
      max: 100,
      interval: 20,
      name: 'problems solved',
      nameLocation: 'middle',
      nameGap: 46,
      axisLabel: { formatter: '{value} %' },
      splitLine: { lineStyle: { color: '#eef0f3' } },
      nameTextStyle: { color: colors.text, fontSize: 12 },
    },
    series: [
      ...(fit === null
        ? []
        : [
            {
              ...lineOf('fit', colors.fit),
              data: steps(1, samples).map((k) => [k * each, percent(fittedCoverage(fit, k))]),
              symbol: 'none',
              lineStyle: { color: colors.fit, width: 1.5, type: 'dashed' as const },
            },
          ]),
      ...namesOf(selections).map((name) => ({
        ...lineOf(selectionTexts[name], selectionColors[name]),
        // What a perfect verifier finds is all that there is: its line is seen below that of coverage.
        ...(name === 'verifier'
          ? { symbolSize: 12, lineStyle: { color: selectionColors[name], width: 7, opacity: 0.4 } }
          : {}),
        data: (selections[name] ?? []).map(({ k, accuracy }) => [k * each, percent(accuracy)]),
      })),
      errorBars(
        'coverage errors',
        colors.coverage,
        coverage.map((point) => ({ x: point.k * each, y: point.coverage, error: point.standardError })),
      ),
      {
        ...lineOf('any sample (coverage)', colors.coverage),
        data: coverage.map((point) => [point.k * each, percent(point.coverage)]),
      },
      ...(thinking.length === 0
        ? []
        : [
            errorBars(
              'thinking errors',
              colors.thinking,
              thinking.map(({ tokens, accuracy, standardError }) => ({ x: tokens, y: accuracy, error: standardError })),
            ),
            {
              ...lineOf('one sample that thinks', colors.thinking),
              symbol: 'diamond',
              symbolSize: 9,
              data: thinking.map(({ tokens, accuracy, budget }) => ({
                value: [tokens, percent(accuracy)],
                label: { show: true, formatter: String(budget), position: 'left', distance: 8, color: colors.thinking },
              })),
            },
          ]),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function titleOf({ model, problems, temperature, thinking, fit }: Plotted) {
  const fitted = fit === null ? '' : `; fit exp(${fit.a.toFixed(2)} k^${fit.b.toFixed(2)})`;
  const thought = thinking.length === 0 ? '' : '; numbers beside diamonds are tokens of thought';
  return {
    text: `${model}: ${problems} ${problems === 1 ? 'problem' : 'problems'}, temperature ${temperature}`,
    subtext: `bars are one standard error over problems${fitted}${thought}`,
    left: 16,
    top: 12,
    textStyle: { color: colors.text, fontSize: 17, fontFamily: font },
    subtextStyle: { color: colors.quiet, fontSize: 12, fontFamily: font },
  };
}

const namesOf = (selections: Plotted['selections']): SelectionName[] => Object.keys(selections) as SelectionName[];

const tokensText = (tokens: number): string => `${Number(tokens.toFixed(1))} tokens`;

const logAxis = (range: { readonly min: number; readonly max: number }, name: string, position: 'top' | 'bottom') => ({
  type: 'log' as const,
  logBase: 2,
  ...range,
  position,
  name,
  nameLocation: 'middle' as const,
  nameGap: 30,
  axisLabel: {
    formatter: (value: number) => (Number.isInteger(value) ? String(value) : ''),
    hideOverlap: true,
    showMinLabel: false,
    showMaxLabel: false,
  },
  axisTick: { show: true },
  splitLine: { show: false },
  axisLine: { show: true, lineStyle: { color: colors.quiet } },
  nameTextStyle: { color: colors.text, fontSize: 12 },
});

const lineOf = (name: string, color: string) => ({
  name,
  type: 'line' as const,
  symbol: 'circle',
  symbolSize: 6,
  lineStyle: { color, width: 2.5 },
  itemStyle: { color },
});

interface ErrorBar {
  readonly x: number;
  readonly y: number;
  readonly error: number;
}

/** Upright lines of one standard error to either side, with gaps between them. */
const errorBars = (name: string, color: string, bars: readonly ErrorBar[]) => ({
  name,
  type: 'line' as const,
  symbol: 'none',
  lineStyle: { color, width: 1.5 },
  data: bars.flatMap(({ x, y, error }) => [
    [x, 100 * Math.max(0, y - error)],
    [x, 100 * Math.min(1, y + error)],
    [x, '-'],
  ]),
});

/** Numbers from `low` to `high`, evenly spread on a logarithmic axis. */
function steps(low: number, high: number): number[] {
  const count = 48;
  return Array.from({ length: count + 1 }, (_, index) => low * (high / low) ** (index / count));
}
