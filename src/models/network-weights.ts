/**
 * A stage's weights on a device: every matrix, gain and bias in buffers of its own, read piece by piece from where they
 * lie, so that memory outside the device holds a few pieces, whatever the file's size. What cannot fit is refused before
 * anything is read. How they lie is `weight-plan.ts`, products with them are `products.ts`.
 */

import { viewBytes } from '../core/bytes.ts';
import { MemoryError, type Device, type DeviceBuffer } from '../kernels/device.ts';
import type { WeightFormat } from '../kernels/embedding-part.ts';
import type { Tensor } from '../kernels/kernel.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { headWidth } from './llama-parameters.ts';
import { rotationTable } from './rope-scaling.ts';
import {
  planNetworkWeights,
  scaleBytes,
  valueBytes,
  type NetworkPlan,
  type PlannedLayer,
  type PlannedMatrix,
  type PlannedVector,
  type WeightOptions,
} from './weight-plan.ts';
import { devicePieces, piecesOnParts } from './weights/device-pieces.ts';
import { streamParameter, type LlamaWeights, type StoredParameter } from './weights/llama-weights.ts';

export { planNetworkWeights, wholeNetwork, type StageRange, type WeightOptions } from './weight-plan.ts';

/** Rows of a matrix in a buffer of their own. */
export interface WeightPart {
  readonly firstRow: number;
  readonly rows: number;
  readonly format: WeightFormat;
  /** [rows, columns]. */
  readonly values: Tensor;
  /** Of the formats in blocks: one half a block of 32. */
  readonly scales?: Tensor;
}

/** Weights as products read them: [outputs, inputs], one part after another. */
export interface WeightMatrix {
  readonly name: string;
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  readonly parts: readonly WeightPart[];
}

export interface LayerWeights {
  /** Rows of query, key and value, one after another. */
  readonly queryKeyValue: WeightMatrix;
  readonly queryKeyValueBias?: Tensor;
  /** [headWidth]. */
  readonly queryNorm?: Tensor;
  readonly keyNorm?: Tensor;
  readonly output: WeightMatrix;
  readonly outputBias?: Tensor;
  readonly attentionNorm: Tensor;
  readonly feedForwardNorm: Tensor;
  /** Rows of the gate and then of up. */
  readonly gateUp: WeightMatrix;
  readonly down: WeightMatrix;
}

export interface NetworkWeights {
  readonly config: ModelConfig;
  /** Index of the first of `layers` in the network. */
  readonly first: number;
  readonly layers: readonly LayerWeights[];
  readonly embedding?: WeightMatrix;
  /** Gain before the classifier. */
  readonly norm?: Tensor;
  /** The classifier; the same object as `embedding` where one serves as both. */
  readonly head?: WeightMatrix;
  /** Cosines and sines: [positionsMax, headWidth / 2, 2]. */
  readonly rope: Tensor;
  /** On the device. */
  readonly bytes: number;
  free(): void;
}

export interface OpenOptions extends WeightOptions {
  /** Told now and then how many of the device's bytes are in place. */
  readonly progress?: (done: number, all: number) => void;
}

/** After so many bytes the device takes what was written, so that copies on their way to it do not pile up. */
const bytesUnderwayMax = 8 * 1024 * 1024;
/** Tensors that are read at once, each with a piece in memory: a source far away answers while others are put in place. */
const streamsMax = 3;

/**
 * Reads what the stage needs, and nothing else. Throws `MemoryError` before anything is read where it cannot fit, with what
 * would; rejects with an `InputError` that names the tensor where the file is damaged. Nothing stays allocated then.
 */
export async function openNetworkWeights(
  device: Device,
  source: LlamaWeights,
  options: OpenOptions,
): Promise<NetworkWeights> {
  const { config } = source;
  const plan = planNetworkWeights(source, options, device.limits);
  assertRoom(device, source, options, plan);
  const made: DeviceBuffer[] = [];
  const free = (): void => {
    for (const buffer of made.splice(0)) device.free(buffer);
  };
  try {
    const placer = createPlacer(device, made, plan.bytes, options.progress);
    const rope = placer.tensor('rope', 4 * options.positionsMax * headWidth(config));
    placer.later(async () => {
      const factors = plan.ropeFactors && (await numbersOf([plan.ropeFactors]));
      await placer.write(rope, viewBytes(rotationTable(config, options.positionsMax, factors)), 0);
    });
    const embedding = plan.embedding && placer.matrix(plan.embedding);
    const layers = plan.layers.map((layer) => placeLayer(placer, layer));
    const norm = plan.norm && placer.vector(plan.norm);
    const head = plan.head === plan.embedding ? embedding : plan.head && placer.matrix(plan.head);
    await placer.fill();
    await device.flush();
    return {
      config,
      first: options.first,
      layers,
      ...(embedding && { embedding }),
      ...(norm && { norm }),
      ...(head && { head }),
      rope,
      bytes: plan.bytes,
      free,
    };
  } catch (error) {
    free();
    throw error;
  }
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

/** Throws one line that says what would fit. */
function assertRoom(device: Device, source: LlamaWeights, options: WeightOptions, plan: NetworkPlan): void {
  const room = Math.max(0, device.limits.memoryBytesMax - device.usage().bytes);
  if (plan.bytes <= room) return;
  const need = (changed: Partial<WeightOptions>): number =>
    planNetworkWeights(source, { ...options, ...changed }, device.limits).bytes;
  const mends: string[] = [];
  for (const quantise of ['q8_0', 'q4_0'] as const) {
    const bytes = need({ quantise });
    if (bytes <= room && mends.length === 0) mends.push(`as ${quantise} they need ${mebibytes(bytes)}`);
  }
  const counts = Array.from({ length: options.count }, (_, index) => index);
  const layers = counts.findLast((count) => need({ count, head: false }) <= room) ?? 0;
  if (layers > 0) mends.push(`${layers} of these ${options.count} layers would fit: use more stages`);
  const mend = mends.length > 0 ? mends.join(', or ') : 'lend more memory';
  throw new MemoryError(`weights: need ${mebibytes(plan.bytes)}, ${mebibytes(room)} are free on this device; ${mend}`);
}

/** Makes buffers at once, and remembers what shall be read into them. */
interface Placer {
  tensor(label: string, bytes: number): Tensor;
  write(tensor: Tensor, bytes: Uint8Array, offset: number): Promise<void>;
  vector(planned: PlannedVector): Tensor;
  matrix(planned: PlannedMatrix): WeightMatrix;
  later(read: () => Promise<void>): void;
  /** Reads everything; rejects with the first failure, when nothing is under way any more. */
  fill(): Promise<void>;
}

function createPlacer(device: Device, made: DeviceBuffer[], all: number, progress: OpenOptions['progress']): Placer {
  const reads: (() => Promise<void>)[] = [];
  let underway = 0;
  let done = 0;
  const placer: Placer = {
    tensor: (label, bytes) => {
      const buffer = device.createBuffer(label, bytes);
      made.push(buffer);
      return { buffer };
    },
    write: async ({ buffer }, bytes, offset) => {
      device.write(buffer, bytes, offset);
      done += bytes.byteLength;
      underway += bytes.byteLength;
      if (underway < bytesUnderwayMax) return;
      underway = 0;
      await device.flush();
      progress?.(done, all);
    },
    vector: ({ name, elements, sources }) => {
      const tensor = placer.tensor(name, 4 * elements);
      reads.push(async () => placer.write(tensor, viewBytes(await numbersOf(sources)), 0));
      return tensor;
    },
    matrix: (planned) => {
      const parts = planned.parts.map((part, index): WeightPart => {
        const label = planned.parts.length === 1 ? planned.name : `${planned.name}, part ${index + 1}`;
        const elements = part.rows * planned.columns;
        const scales = scaleBytes(part.format, elements);
        return {
          ...part,
          values: placer.tensor(label, valueBytes(part.format, elements)),
          ...(scales > 0 && { scales: placer.tensor(`${label}, scales`, scales) }),
        };
      });
      for (const source of planned.sources) {
        reads.push(async () => {
          for await (const piece of devicePieces(source)) {
            for (const { part, of, bytes, offset } of piecesOnParts(piece, source, planned)) {
              const target = parts[part]?.[of];
              if (target !== undefined) await placer.write(target, bytes, offset);
            }
          }
        });
      }
      return { name: planned.name, rows: planned.rows, columns: planned.columns, parts };
    },
    later: (read) => void reads.push(read),
    fill: async () => {
      let next = 0;
      const stream = async (): Promise<void> => {
        for (let read = reads[next++]; read !== undefined; read = reads[next++]) {
          try {
            await read();
          } catch (error) {
            next = reads.length;
            throw error;
          }
        }
      };
      const ended = await Promise.allSettled(Array.from({ length: streamsMax }, stream));
      const failed = ended.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    },
  };
  return placer;
}

async function numbersOf(sources: readonly StoredParameter[]): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(sources.reduce((sum, { parameter }) => sum + parameter.elements, 0));
  let first = 0;
  for (const one of sources) {
    for await (const piece of streamParameter(one)) values.set(piece.values, first + piece.start);
    first += one.parameter.elements;
  }
  return values;
}

function placeLayer({ matrix, vector }: Placer, plan: PlannedLayer): LayerWeights {
  const { queryKeyValueBias, queryNorm, keyNorm, outputBias } = plan;
  return {
    attentionNorm: vector(plan.attentionNorm),
    queryKeyValue: matrix(plan.queryKeyValue),
    ...(queryKeyValueBias && { queryKeyValueBias: vector(queryKeyValueBias) }),
    ...(queryNorm && { queryNorm: vector(queryNorm) }),
    ...(keyNorm && { keyNorm: vector(keyNorm) }),
    output: matrix(plan.output),
    ...(outputBias && { outputBias: vector(outputBias) }),
    feedForwardNorm: vector(plan.feedForwardNorm),
    gateUp: matrix(plan.gateUp),
    down: matrix(plan.down),
  };
}
