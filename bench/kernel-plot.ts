/**
 * The picture of a race: for each case how fast every library is, as a multiple of the best peer's speed, on a logarithmic
 * axis. Drawn by echarts without a page.
 */

import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import type { MeasuredCase } from './measure.ts';

use([BarChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer]);

const colors = ['#3b6fd4', '#d9622b', '#8b98a9', '#c4a24a', '#5b8f6a'];
const text = '#1f2937';
const faint = '#6b7280';
/** Without quotes: echarts writes the family into an attribute as it stands. */
const font = 'system-ui, Roboto, Arial, sans-serif';

/** Speeds as multiples of the best peer's; undefined where a library has none in this case. */
export function speedsOf(measured: MeasuredCase, better: 'higher' | 'lower'): ReadonlyMap<string, number> {
  const { peers, ratio } = measured;
  const values = Object.values(peers);
  const best = better === 'higher' ? Math.max(...values) : Math.min(...values);
  const relative = (value: number): number => (better === 'higher' ? value / best : best / value);
  return new Map([
    ...(ratio === null ? [] : [['ours', ratio] as const]),
    ...Object.entries(peers).map(([name, value]) => [name, relative(value)] as const),
  ]);
}

/** The SVG's text, 980 by 460, of the cases that have peers. */
export function plotRace(
  title: string,
  cases: readonly (MeasuredCase & { readonly better: 'higher' | 'lower' })[],
): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 980, height: 460 });
  const speeds = cases.map((one) => speedsOf(one, one.better));
  const libraries = [...new Set(speeds.flatMap((of) => [...of.keys()]))];
  const seen = speeds.flatMap((of) => [...of.values()]);
  // Bars of a logarithmic axis stand on its lower end.
  const lowest = 10 ** Math.floor(Math.log10(Math.min(...seen, 0.5)));
  const bars = libraries.map((name, index) => ({
    name,
    type: 'bar' as const,
    barGap: '8%',
    barCategoryGap: '28%',
    data: speeds.map((of) => of.get(name) ?? null),
    itemStyle: { color: colors[index % colors.length] ?? faint },
    label: {
      show: name === 'ours',
      position: 'top' as const,
      distance: 4,
      color: text,
      fontSize: 12,
      formatter: ({ value }: { readonly value: unknown }) => (typeof value === 'number' ? value.toFixed(2) : ''),
    },
    ...(index === 0 ? { markLine: bestPeerLine } : {}),
  }));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: font },
    title: {
      text: title,
      subtext:
        'speed as a multiple of the best other library in the same round; the line is that library; higher is faster',
      left: 16,
      top: 10,
      textStyle: { color: text, fontSize: 16, fontFamily: font },
      subtextStyle: { color: faint, fontSize: 12, fontFamily: font },
    },
    legend: {
      left: 16,
      top: 62,
      icon: 'roundRect',
      itemWidth: 14,
      itemHeight: 8,
      // Names are wider than they are taken for without a page.
      itemGap: 56,
      textStyle: { color: text },
      data: libraries,
    },
    grid: { left: 66, right: 24, top: 104, bottom: 40 },
    xAxis: {
      type: 'category',
      data: cases.map(({ name }) => name),
      axisLabel: { color: text },
      axisTick: { show: false },
    },
    yAxis: {
      type: 'log',
      min: lowest,
      startValue: lowest,
      max: 10 ** Math.ceil(Math.log10(Math.max(...seen, 2))),
      splitLine: { lineStyle: { color: '#eef0f3' } },
      axisLabel: { color: text },
    },
    series: bars,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const bestPeerLine = {
  silent: true,
  symbol: 'none',
  lineStyle: { color: faint, type: 'dashed' as const, width: 1.5 },
  label: { show: false },
  data: [{ yAxis: 1 }],
};
