/**
 * What is asked of kernels beside their cases, as functions of a device: `kernels.ts` runs them in a browser's page,
 * `src/node/self-test.test.ts` on Dawn in Node.
 */

import { viewBytes, type Bytes } from '../../src/core/bytes.ts';
import { createRandom } from '../../src/core/prng.ts';
import { attentionDecodeDispatch } from '../../src/kernels/attention-decode.ts';
import { attentionDispatch } from '../../src/kernels/attention.ts';
import { kernelCases } from '../../src/kernels/catalogue.ts';
import { crossEntropyDispatch } from '../../src/kernels/cross-entropy.ts';
import type { Device, DeviceBuffer, Dispatch } from '../../src/kernels/device.ts';
import { packHalves } from '../../src/kernels/half.ts';
import type { Tensor } from '../../src/kernels/kernel.ts';
import { matmulDispatch, matmulFamily } from '../../src/kernels/matmul.ts';
import { gatedMatvecDispatch, matvecDispatch, matvecFamily } from '../../src/kernels/matvec.ts';
import { rmsNormDispatch } from '../../src/kernels/rms-norm.ts';
import { packWishes, sampleDispatch } from '../../src/kernels/sample.ts';
import { selfTest, type CaseReport } from '../../src/kernels/self-test.ts';
import { normals } from '../../src/kernels/test-case.ts';
import { variantsFor } from '../../src/kernels/variants.ts';
import type { Miscompile } from './miscompiles.ts';

/** The kernels that fail when `wrong` happens to its shader. Every case of it and of one other kernel is run. */
export async function failedWith(device: Device, wrong: Miscompile): Promise<CaseReport[]> {
  const spoil = (dispatch: Dispatch): Dispatch => {
    const { pipeline } = dispatch;
    if (pipeline.label !== wrong.kernel) return dispatch;
    const wgsl = pipeline.wgsl.replace(wrong.from, wrong.to);
    if (wgsl === pipeline.wgsl) throw new Error(`${wrong.kernel} does not contain '${wrong.from}'`);
    return { ...dispatch, pipeline: { ...pipeline, wgsl } };
  };
  const spoiled: Device = Object.create(device, { run: { value: (all: Dispatch[]) => device.run(all.map(spoil)) } });
  const cases = kernelCases(1).filter(({ kernel }) => kernel === wrong.kernel || kernel === 'combine');
  return (await selfTest(spoiled, { cases })).cases.filter((own) => !own.passed);
}

/** Runs one operation on `rows` copies of one row's problem (a row, or a sequence) and gives what it wrote. */
type RowRun = (rows: number) => Promise<Bytes>;

const [width, heads, headSize, tokens, vocabulary] = [97, 3, 6, 17, 315];

/** The operations whose result for the last of 65 equal rows differs, in any bit, from the result for one row alone. */
export async function rowsThatDependOnTheBatch(device: Device): Promise<string[]> {
  const random = createRandom(3);
  const buffers: DeviceBuffer[] = [];
  const tensor = (values: Float32Array | Uint32Array): Tensor => {
    const buffer = device.createBuffer('row', values.byteLength);
    device.write(buffer, viewBytes(values));
    buffers.push(buffer);
    return { buffer };
  };
  const copies = (row: Float32Array, count: number): Tensor =>
    tensor(Float32Array.from({ length: row.length * count }, (_, index) => row[index % row.length] ?? NaN));
  const empty = (count: number): Tensor => tensor(new Float32Array(count));
  const lastOf = async (dispatch: Dispatch, output: Tensor, rows: number): Promise<Bytes> => {
    await device.run([dispatch]);
    const bytes = output.buffer.bytes / rows;
    return device.read(output.buffer, (rows - 1) * bytes, bytes);
  };
  const row = normals(random, width);
  const weights = normals(random, vocabulary * width);
  const matrix = tensor(weights);
  const halves = tensor(packHalves(weights));
  const sequence = normals(random, tokens * heads * headSize);
  const logits = normals(random, vocabulary);
  const attentionSizes = { heads, kvHeads: heads, headSize };
  const matmul =
    (form: 'NN' | 'NT' | 'TN'): RowRun =>
    (rows) => {
      const columns = form === 'NN' ? vocabulary : 65;
      const output = empty(rows * columns);
      const transposed = Float32Array.from({ length: rows * width }, (_, i) => row[Math.floor(i / rows)] ?? NaN);
      const left = form === 'TN' ? tensor(transposed) : copies(row, rows);
      const of = { form, left, right: matrix, output, rows, columns, inner: width };
      return lastOf(matmulDispatch(of), output, rows);
    };
  // A multiple of four, so that variants read four elements at once, and the same row and matrix.
  const inner = width - (width % 4);
  const always = (name: string) => ({ variantOf: () => name });
  const matmulVariant =
    (name: string): RowRun =>
    (rows) => {
      const output = empty(rows * vocabulary);
      const left = copies(row.subarray(0, inner), rows);
      const of = { form: 'NT' as const, left, right: matrix, output, rows, columns: vocabulary, inner };
      return lastOf(matmulDispatch({ ...of, choices: always(name) }), output, rows);
    };
  const matvec =
    (name: string, of: { inner: number; gated: boolean; weights: 'f32' | 'f16' }): RowRun =>
    (rows) => {
      const [hidden, columns] = [65, 130];
      const output = empty(rows * (of.gated ? hidden : columns));
      const norm = { gain: tensor(weights.subarray(0, of.inner)), epsilon: 1e-5 };
      const input = copies(row.subarray(0, of.inner), rows);
      const weight = of.weights === 'f16' ? halves : matrix;
      const own = { input, weight, output, rows, inner: of.inner, norm, weights: of.weights, choices: always(name) };
      const dispatch = of.gated ? gatedMatvecDispatch({ ...own, hidden }) : matvecDispatch({ ...own, columns });
      return lastOf(dispatch, output, rows);
    };
  const runs: Record<string, RowRun> = {
    ...Object.fromEntries([
      ...variantsFor(matmulFamily, device).map(({ name }) => [`matmul ${name}`, matmulVariant(name)] as const),
      ...variantsFor(matvecFamily, device).flatMap(({ name }) => [
        [`matvec ${name}`, matvec(name, { inner: width, gated: false, weights: 'f32' })] as const,
        [`matvec ${name} by four`, matvec(name, { inner, gated: false, weights: 'f32' })] as const,
        [`matvec ${name} gated`, matvec(name, { inner, gated: true, weights: 'f32' })] as const,
        [`matvec ${name} of halves`, matvec(name, { inner, gated: false, weights: 'f16' })] as const,
      ]),
    ]),
    'matmul NN': matmul('NN'),
    'matmul NT': matmul('NT'),
    'matmul TN': matmul('TN'),
    rms_norm: (rows) => {
      const output = empty(rows * width);
      const input = copies(row, rows);
      const of = { input, weight: matrix, output, inverseRms: empty(rows), rows, width, epsilon: 1e-5 };
      return lastOf(rmsNormDispatch(of), output, rows);
    },
    attention: (sequences) => {
      const query = copies(sequence, sequences);
      const output = empty(sequence.length * sequences);
      const logSumExp = empty(sequences * tokens * heads);
      const of = { query, key: query, value: query, output, logSumExp, sequences, tokens, ...attentionSizes };
      return lastOf(attentionDispatch(of), output, sequences);
    },
    attention_decode: (sequences) => {
      const query = copies(sequence.subarray(0, heads * headSize), sequences);
      const output = empty(heads * headSize * sequences);
      // Each sequence has one page with all of its tokens.
      const pageTokens = Math.ceil(tokens / 4) * 4;
      const page = new Float32Array(pageTokens * heads * headSize);
      page.set(sequence);
      const key = copies(page, sequences);
      const slots = Array.from({ length: sequences }, (_, slot) => slot);
      const places = tensor(Uint32Array.from(slots.flatMap((slot) => [slot, tokens - 1])));
      const paged = { places, pages: tensor(Uint32Array.from(slots)), pagesEach: 1, pageTokens };
      const of = { query, key, value: key, output, rows: sequences, ...paged, ...attentionSizes };
      return lastOf(attentionDecodeDispatch(of), output, sequences);
    },
    cross_entropy: (rows) => {
      const losses = empty(rows);
      const targets = tensor(new Uint32Array(rows).fill(5));
      const of = { targets, logits: copies(logits, rows), losses, rows, vocabulary, gradientScale: 1 };
      return lastOf(crossEntropyDispatch(of), losses, rows);
    },
    sample: (rows) => {
      const chosen = tensor(new Uint32Array(rows));
      const wish = { temperature: 1, topK: 40, topP: 0.9, seed: 4, position: 2, sample: 9 };
      const wishes = tensor(packWishes(Array.from({ length: rows }, (_, logitsRow) => ({ ...wish, logitsRow }))));
      const of = { logits: copies(logits, rows), wishes, tokens: chosen, logProbabilities: empty(rows), rows };
      return lastOf(sampleDispatch({ ...of, vocabulary }), chosen, rows);
    },
  };
  const different: string[] = [];
  for (const [name, run] of Object.entries(runs)) {
    const alone = await run(1);
    for (const rows of [2, 4, 9, 16, 65]) {
      const inBatch = await run(rows);
      if (alone.some((byte, index) => byte !== inBatch[index])) different.push(`${name} in ${rows} rows`);
    }
  }
  for (const buffer of buffers) device.free(buffer);
  return different;
}
