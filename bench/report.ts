/** What a run of the benchmarks tells: the case and the ceilings as the JSON object has them, and lines for people. */

import type { Ceilings } from '../src/kernels/ceilings.ts';
import type { DroppedVariant, Winner } from '../src/kernels/winners.ts';
import type { CaseReport, MeasuredCase } from './measure.ts';

/** What the adapter can do at most, measured in the same run. */
export interface RunCeilings {
  readonly fmaGflops: number;
  /** Bytes read and written, together. */
  readonly copyGBs: number;
}

export const ceilingsOf = ({ f32Flops, copyBytes }: Ceilings): RunCeilings => ({
  fmaGflops: f32Flops / 1e9,
  copyGBs: copyBytes / 1e9,
});

/** The case as the JSON object has it. */
export function reportOf({ name, unit, ours, peers, ratio, wrong }: MeasuredCase): CaseReport {
  return { name, unit, ours, peers, ratio, ...(wrong === undefined ? {} : { wrong }) };
}

export function sentenceOf({ name, unit, ours, peers, ratio, wrong }: MeasuredCase): string {
  const others = Object.entries(peers).map(([peer, value]) => `${peer} ${shown(value)}`);
  const out = Object.entries(wrong ?? {}).map(([peer, why]) => `${peer} is out: ${why}`);
  const against = ratio === null ? [] : [`ratio ${ratio.toFixed(2)}`];
  return [`${name}: ours ${shown(ours)} ${unit}`, ...against, ...others, ...out].join(', ');
}

/** Three digits that count. */
export const shown = (value: number): string => {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return value.toFixed(Math.min(digits, 6));
};

/** One line for each bucket whose variant was looked for, and for each variant that was wrong here. */
export const variantsOf = (tuner: {
  winners(): readonly Winner[];
  dropped(): readonly DroppedVariant[];
}): readonly string[] => [
  ...tuner.winners().map(({ family, bucket, variant }) => `${family} (${bucket}): ${variant}`),
  ...tuner
    .dropped()
    .map(({ family, bucket, variant, problem }) => `${family} (${bucket}): ${variant} is wrong: ${problem}`),
];

export const percent = (fraction: number): string => `${(100 * fraction).toFixed(0)} %`;

/** A file name made of the adapter's. */
export const fileNameOf = (adapter: string): string =>
  adapter
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '') || 'unknown';
