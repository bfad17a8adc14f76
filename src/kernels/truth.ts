/** Small helpers of the f64 truths, which read and add by computed indices. */

/** The element, or NaN outside, so that a truth that reads outside fails its test. */
export const at = (values: ArrayLike<number>, index: number): number => values[index] ?? NaN;

export function addAt(values: Float64Array, index: number, amount: number): void {
  values[index] = at(values, index) + amount;
}

export function dot(a: ArrayLike<number>, aStart: number, b: ArrayLike<number>, bStart: number, count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) sum += at(a, aStart + index) * at(b, bStart + index);
  return sum;
}

export const plus = (a: Float64Array, b: ArrayLike<number>): Float64Array =>
  a.map((value, index) => value + at(b, index));
