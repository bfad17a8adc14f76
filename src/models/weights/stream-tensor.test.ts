import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { memorySource } from '../../core/byte-source.ts';
import { viewBytes } from '../../core/bytes.ts';
import { countingSource, sparseSource } from '../../core/counting-source.fixture.ts';
import { chunkBytesMax } from '../../core/limits.ts';
import { InputError } from '../../core/result.ts';
import { createRandom } from '../../core/prng.ts';
import { halfBits } from '../../kernels/half.ts';
import { dequantise, packQ4_0 } from '../../kernels/quant-blocks.ts';
import { encodeValues } from './encode-gguf.ts';
import { streamBlocks, streamPacked, streamTensor, type StreamOptions } from './stream-tensor.ts';
import { tensorBytes, tensorTypes, type StoredTensor, type TensorType } from './tensor-file.ts';

const seed = 31;

function stored(type: TensorType, shape: readonly number[], bytes: Uint8Array): StoredTensor {
  const source = countingSource(memorySource('w.bin', bytes));
  return { name: 'some.weight', type, shape, source, start: 0, end: bytes.byteLength };
}

async function gather(
  tensor: StoredTensor,
  options: StreamOptions = {},
): Promise<{ values: number[]; pieces: number[] }> {
  const values: number[] = [];
  const pieces: number[] = [];
  for await (const { start, values: piece } of streamTensor(tensor, options)) {
    expect(start).toBe(values.length);
    values.push(...piece);
    pieces.push(piece.length);
  }
  return { values, pieces };
}

describe('a tensor', () => {
  test('comes in pieces of whole blocks, in order, whatever their size', async () => {
    const random = createRandom(seed);
    const weights = Float32Array.from({ length: 32 * 97 }, () => random.normal());
    for (const type of ['f32', 'f16', 'q8_0', 'q4_0'] as const) {
      const bytes = encodeValues(type, weights);
      const whole = (await gather(stored(type, [97, 32], bytes))).values;
      for (const bytesMax of [1, 100, 315, 2179, 1e6]) {
        const tensor = stored(type, [97, 32], bytes);
        const { values, pieces } = await gather(tensor, { bytesMax });
        expect(values).toEqual(whole);
        const block = tensorTypes[type].elements;
        expect(pieces.every((piece) => piece % block === 0 && piece <= Math.max(block, bytesMax / 4))).toBe(true);
      }
    }
  });

  test('whose rotary pairs are halves apart comes with neighbours, heads split or whole', async () => {
    // 2 heads of 6 rows of 5: rows 0 3 1 4 2 5 of each.
    const weights = Float32Array.from({ length: 60 }, (_, index) => index);
    const order = [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11];
    const expected = order.flatMap((row) => [...weights.subarray(row * 5, row * 5 + 5)]);
    for (const bytesMax of [1, 40, 80, 1e6]) {
      const tensor = stored('f32', [12, 5], viewBytes(weights));
      expect((await gather(tensor, { bytesMax, headRows: 6 })).values).toEqual(expected);
    }
    const biases = stored('f32', [6], viewBytes(weights.subarray(0, 6)));
    expect((await gather(biases, { headRows: 6 })).values).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test('comes packed as the kernels take it, pieces of it too', async () => {
    const random = createRandom(seed, 1);
    const weights = Float32Array.from({ length: 32 * 65 }, () => random.normal());
    const bytes = encodeValues('q4_0', weights);
    const tensor = { ...stored('q4_0', [65, 32], bytes), type: 'q4_0' as const };
    const read: number[] = [];
    for await (const { start, weights: piece } of streamPacked(tensor, { bytesMax: 18 * 7 })) {
      expect(start).toBe(read.length);
      read.push(...dequantise(piece));
    }
    expect(read).toEqual([...dequantise(packQ4_0(bytes))]);
  });

  test('with a weight that is no number is refused where that stands', async () => {
    const weights = Float32Array.from({ length: 64 }, (_, index) => (index === 41 ? NaN : 1));
    const reading = gather(stored('f32', [64], viewBytes(weights)), { bytesMax: 64 });
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(
      'w.bin: tensor some.weight: element 41 is NaN, not a finite number; fetch the file again',
    );
    const scale = encodeValues('q8_0', weights.fill(1));
    scale.set([halfBits(Infinity) & 255, halfBits(Infinity) >> 8], 34);
    await expect(gather(stored('q8_0', [64], scale))).rejects.toThrow(/^w\.bin: tensor some\.weight: element 32 is /);
    const packed = { ...stored('q8_0', [64], scale), type: 'q8_0' as const };
    await expect(streamPacked(packed).next()).rejects.toThrow(
      /^w\.bin: tensor some\.weight, from element 0: q8_0: the scale of block 1 is Infinity/,
    );
  });

  test('of whole numbers that f32 cannot hold is refused, others come exactly', async () => {
    const fine = BigInt64Array.from([0n, -16_777_215n, 16_777_215n]);
    expect((await gather(stored('i64', [3], viewBytes(fine)))).values).toEqual([0, -16_777_215, 16_777_215]);
    const large = BigInt64Array.from([1n, 16_777_217n]);
    await expect(gather(stored('i64', [2], viewBytes(large)))).rejects.toThrow(/element 1 is .*more than f32 holds/);
  });
});

// Collecting garbage takes its time.
describe('memory', { timeout: 60_000 }, () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  /** Bytes of array buffers that somebody still holds. */
  const alive = (): number => {
    // The second waits for what the first left to other threads.
    collect();
    collect();
    return process.memoryUsage().arrayBuffers;
  };

  test.each<[TensorType, readonly number[], StreamOptions]>([
    ['q4_0', [2048, 8192], {}],
    ['f16', [2048, 2304], {}],
    ['f16', [2048, 2304], { headRows: 128 }],
    ['q6_K', [1024, 10496], {}],
  ])('of %s %j %j: two chunks at most are alive, and no byte is read twice', async (type, shape, options) => {
    const bytes = tensorBytes(type, shape) ?? 0;
    expect(bytes).toBeGreaterThan(8 * chunkBytesMax);
    await gather(stored(type, [tensorTypes[type].elements], new Uint8Array(tensorTypes[type].bytes)));
    let most = 0;
    const before = alive();
    const look = (): void => void (most = Math.max(most, alive() - before));
    const source = countingSource(sparseSource('large.bin', bytes), look);
    let elements = 0;
    let pieces = 0;
    for await (const { values } of streamTensor(
      { name: 'large', type, shape, source, start: 0, end: bytes },
      options,
    )) {
      elements += values.length;
      expect(values.byteLength).toBeLessThanOrEqual(chunkBytesMax);
      if (pieces++ % 7 === 0) look();
    }
    expect(elements).toBe(shape.reduce((product, axis) => product * axis, 1));
    expect(source.readTwice()).toBe(0);
    expect(source.reads.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(bytes);
    expect(source.reads.every(({ start, end }) => end - start <= chunkBytesMax)).toBe(true);
    console.log(`${type} ${shape.join(' x ')}: ${bytes} bytes, ${pieces} pieces, at most ${most} bytes alive at once`);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(2 * chunkBytesMax);
  });

  test('what is measured so is found: a reader that keeps its pieces is over the bound', async () => {
    const bytes = 4 * chunkBytesMax;
    const source = sparseSource('large.bin', bytes);
    const before = alive();
    const kept: Uint8Array[] = [];
    const tensor: StoredTensor = { name: 'large', type: 'f16', shape: [bytes / 2], source, start: 0, end: bytes };
    for await (const piece of streamBlocks(tensor)) kept.push(piece.bytes);
    expect(alive() - before).toBeGreaterThan(2 * chunkBytesMax);
    expect(kept).toHaveLength(8);
  });
});
