/** The truth of `sum.json` and its reduce tree: the same count in doubles, exact below 2^53. */

export const radius = 20_000;
export const units = 20;

function pointsInRow(y: number): number {
  const room = radius * radius - y * y;
  let x = Math.floor(Math.sqrt(room));
  while (x * x >= room) x--;
  return x + 1;
}

/** One unit's four partial sums: rows of its band by their number in it, modulo 4. */
export function truthUnit(unit: number): number[] {
  const first = Math.floor((unit * radius) / units);
  const end = Math.floor(((unit + 1) * radius) / units);
  const sums = [0, 0, 0, 0];
  for (let y = first; y < end; y++) sums[(y - first) % 4] = (sums[(y - first) % 4] ?? 0) + pointsInRow(y);
  return sums;
}

/** What the reduce tree comes down to. */
export function truthTotal(): number[] {
  const sums = [0, 0, 0, 0];
  for (let unit = 0; unit < units; unit++)
    truthUnit(unit).forEach((sum, index) => (sums[index] = (sums[index] ?? 0) + sum));
  return sums;
}

/** Pi from the reduced output. Points on the axes are counted on one side only, hence the small correction. */
export function piOf(total: Uint8Array): number {
  const sum = readSums(total).reduce((a, b) => a + b, 0);
  return (4 * (sum - radius)) / (radius * radius);
}

export function readSums(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.byteLength / 4) }, (_, index) => view.getUint32(index * 4, true));
}

/** What is wrong with the units' outputs, or with the reduced output where there is one; undefined when nothing. */
export function check(outputs: ReadonlyMap<number, Uint8Array>, reduced?: Uint8Array): string | undefined {
  for (let unit = 0; unit < units; unit++) {
    const bytes = outputs.get(unit);
    if (bytes === undefined) return `unit ${unit}: no output`;
    const wrong = compare(`unit ${unit}`, readSums(bytes), truthUnit(unit));
    if (wrong !== undefined) return wrong;
  }
  return reduced === undefined ? undefined : compare('reduced', readSums(reduced), truthTotal());
}

const compare = (what: string, actual: readonly number[], expected: readonly number[]): string | undefined =>
  actual.join() === expected.join() ? undefined : `${what}: ${actual.join(', ')}, not ${expected.join(', ')}`;
