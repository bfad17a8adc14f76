/**
 * When is a unit's result right? Enough results that agree. Agreement within tolerances is not transitive (A~B and B~C,
 * yet not A~C), so a quorum is a result together with all that agree with it: once such a set is large enough, the
 * result that agrees with the most others is accepted (ties to the earliest), and exactly those that agree with the
 * accepted one are honest. Also here: what "agree" means for two outputs' bytes.
 */

import { elementBytes, resultLayout, type ElementType, type Manifest, type Verify } from '../protocol/manifest.ts';

export interface QuorumResult {
  readonly attempt: number;
  readonly digest: string;
}

export type QuorumDecision =
  | {
      readonly type: 'accepted';
      readonly attempt: number;
      readonly honest: readonly number[];
      readonly dishonest: readonly number[];
    }
  /** These pairs decide; their comparison is asked for once. */
  | { readonly type: 'undecided' }
  /** So many more results could make a quorum, if all agree with the largest set so far. */
  | { readonly type: 'more'; readonly count: number };

/** What a comparison of attempts `a` and `b` gave, or undefined while it is unknown. */
export type Agreement = (a: QuorumResult, b: QuorumResult) => boolean | undefined;

/** Decides from `results` in the order in which they were committed. */
export function decideQuorum(results: readonly QuorumResult[], agreement: Agreement, replicas: number): QuorumDecision {
  let best: QuorumResult | undefined;
  let bestCount = 0;
  for (const result of results) {
    let count = 1;
    for (const other of results) {
      if (other === result) continue;
      const agree = agreement(result, other);
      if (agree === undefined) return { type: 'undecided' };
      if (agree) count++;
    }
    if (count > bestCount) [best, bestCount] = [result, count];
  }
  if (best === undefined || bestCount < replicas) return { type: 'more', count: replicas - bestCount };
  const honest: number[] = [];
  const dishonest: number[] = [];
  for (const result of results) {
    const agrees = result === best || agreement(best, result) === true;
    (agrees ? honest : dishonest).push(result.attempt);
  }
  return { type: 'accepted', attempt: best.attempt, honest, dishonest };
}

/** Whether two results' bytes agree under the manifest's policy. Without a layout only equal bytes agree. */
export function compareOutputs(manifest: Manifest, a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  const layout = resultLayout(manifest);
  if (layout === undefined) return agreeExactly(a, b, 0, a.byteLength);
  let offset = 0;
  for (const { type, count } of layout) {
    const end = offset + count * elementBytes[type];
    if (end > a.byteLength || !agreeElements(type, a, b, offset, end, manifest.verify)) return false;
    offset = end;
  }
  return offset === a.byteLength;
}

function agreeElements(
  type: ElementType,
  a: Uint8Array,
  b: Uint8Array,
  start: number,
  end: number,
  verify: Verify,
): boolean {
  if (type !== 'f32' && type !== 'f16') return agreeExactly(a, b, start, end);
  const read = type === 'f32' ? readF32 : readF16;
  const viewA = new DataView(a.buffer, a.byteOffset, a.byteLength);
  const viewB = new DataView(b.buffer, b.byteOffset, b.byteLength);
  for (let offset = start; offset < end; offset += elementBytes[type]) {
    if (!agreeNumbers(read(viewA, offset), read(viewB, offset), verify)) return false;
  }
  return true;
}

function agreeExactly(a: Uint8Array, b: Uint8Array, start: number, end: number): boolean {
  for (let index = start; index < end; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** `|a-b| <= absolute + relative * max(|a|,|b|)`; NaN equals NaN, and an infinity equals only itself. */
export function agreeNumbers(
  a: number,
  b: number,
  { absolute, relative }: Pick<Verify, 'absolute' | 'relative'>,
): boolean {
  if (a === b) return true;
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= absolute + relative * Math.max(Math.abs(a), Math.abs(b));
}

const readF32 = (view: DataView, offset: number): number => view.getFloat32(offset, true);

/** IEEE 754 binary16. */
function readF16(view: DataView, offset: number): number {
  const bits = view.getUint16(offset, true);
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
