/**
 * How a stage's weights will lie on a device, decided before any is read: the format of every matrix, how matrices that
 * share an input stand in one, where one is cut because a binding holds no more, and the bytes of it all. Reading and
 * placing is `network-weights.ts`.
 */

import { alignUp } from '../core/bytes.ts';
import { present } from '../core/assert.ts';
import { MemoryError, type DeviceLimits } from '../kernels/device.ts';
import type { WeightFormat } from '../kernels/embedding-part.ts';
import { quantBlock } from '../kernels/quant-blocks.ts';
import { headWidth, llamaLayout, type ParameterTensor } from './llama-parameters.ts';
import type { LlamaWeights, StoredParameter } from './weights/llama-weights.ts';
import type { TensorType } from './weights/tensor-file.ts';

/** Which of a network's weights one device holds. */
export interface StageRange {
  /** Its first layer, and how many. */
  readonly first: number;
  readonly count: number;
  /** Whether it begins with tokens. */
  readonly embedding: boolean;
  /** Whether it ends with logits. */
  readonly head: boolean;
}

export interface WeightOptions extends StageRange {
  /** Matrices that lie in something larger are made this on their way; left out, they stay as they are stored. */
  readonly quantise?: 'f16' | 'q8_0' | 'q4_0';
  /** Positions of the rotary table: tokens that a sequence may reach. */
  readonly positionsMax: number;
}

export const wholeNetwork = ({ layers }: { readonly layers: number }): StageRange => ({
  first: 0,
  count: layers,
  embedding: true,
  head: true,
});

/** Rows of a matrix that lie in one buffer, and the scales of blocks in another. */
export interface PlannedPart {
  readonly firstRow: number;
  readonly rows: number;
  readonly format: WeightFormat;
}

export interface PlannedMatrix {
  readonly name: string;
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  readonly parts: readonly PlannedPart[];
  /** What its rows are read from, one after another. */
  readonly sources: readonly MatrixSource[];
}

export interface MatrixSource {
  readonly from: StoredParameter;
  readonly firstRow: number;
  readonly format: WeightFormat;
}

/** Gains or biases, side by side in f32. */
export interface PlannedVector {
  readonly name: string;
  readonly elements: number;
  readonly sources: readonly StoredParameter[];
}

export interface PlannedLayer {
  readonly queryKeyValue: PlannedMatrix;
  readonly output: PlannedMatrix;
  readonly gateUp: PlannedMatrix;
  readonly down: PlannedMatrix;
  readonly attentionNorm: PlannedVector;
  readonly feedForwardNorm: PlannedVector;
  readonly queryKeyValueBias?: PlannedVector;
  readonly outputBias?: PlannedVector;
  readonly queryNorm?: PlannedVector;
  readonly keyNorm?: PlannedVector;
}

export interface NetworkPlan {
  readonly layers: readonly PlannedLayer[];
  /** The same as `head` where one serves as both. */
  readonly embedding?: PlannedMatrix;
  readonly norm?: PlannedVector;
  readonly head?: PlannedMatrix;
  readonly ropeFactors?: StoredParameter;
  /** On the device. */
  readonly bytes: number;
}

type Limits = Pick<DeviceLimits, 'bindingBytesMax' | 'bufferBytesMax'>;

/** Throws `MemoryError` where a few rows of a matrix pass what one buffer may hold. */
export function planNetworkWeights(weights: LlamaWeights, of: WeightOptions, limits: Limits): NetworkPlan {
  const { config, parameters } = weights;
  const layout = llamaLayout(config);
  const stored = new Map(parameters.map((one) => [one.parameter.name, one]));
  const find = ({ name }: ParameterTensor): StoredParameter => present(stored.get(name), `no tensor ${name}`);
  const matrix = (name: string, ...tensors: ParameterTensor[]) =>
    planMatrix(name, tensors.map(find), of.quantise, limits);
  const vector = (name: string, ...tensors: ParameterTensor[]): PlannedVector => ({
    name,
    elements: tensors.reduce((sum, { elements }) => sum + elements, 0),
    sources: tensors.map(find),
  });
  const layers = layout.layers.slice(of.first, of.first + of.count).map((layer, index): PlannedLayer => {
    const named = (part: string): string => `layer ${of.first + index} ${part}`;
    const { queryBias, keyBias, valueBias, outputBias, queryNorm, keyNorm } = layer;
    return {
      queryKeyValue: matrix(named('query, key and value'), layer.query, layer.key, layer.value),
      output: matrix(named('output'), layer.output),
      gateUp: matrix(named('gate and up'), layer.gate, layer.up),
      down: matrix(named('down'), layer.down),
      attentionNorm: vector(named('attention norm'), layer.attentionNorm),
      feedForwardNorm: vector(named('feed-forward norm'), layer.feedForwardNorm),
      ...(queryBias !== undefined &&
        keyBias !== undefined &&
        valueBias !== undefined && {
          queryKeyValueBias: vector(named('biases'), queryBias, keyBias, valueBias),
        }),
      ...(outputBias !== undefined && { outputBias: vector(named('output bias'), outputBias) }),
      ...(queryNorm !== undefined && { queryNorm: vector(named('query norm'), queryNorm) }),
      ...(keyNorm !== undefined && { keyNorm: vector(named('key norm'), keyNorm) }),
    };
  });
  // A table loses more by few bits than a layer does, as llama.cpp has it too.
  const quantiseTable = of.quantise === 'q4_0' ? 'q8_0' : of.quantise;
  const table = (name: string, tensor: ParameterTensor) => planMatrix(name, [find(tensor)], quantiseTable, limits);
  const embedding = of.embedding ? table('embedding', layout.embedding) : undefined;
  const own = layout.head;
  const head = !of.head
    ? undefined
    : own !== undefined
      ? table('classifier', own)
      : (embedding ?? table('classifier', layout.embedding));
  const norm = of.head ? vector('norm', layout.norm) : undefined;
  const rope = 4 * of.positionsMax * headWidth(config);
  return {
    layers,
    ...(embedding && { embedding }),
    ...(norm && { norm }),
    ...(head && { head }),
    ...(layout.ropeFactors && { ropeFactors: find(layout.ropeFactors) }),
    bytes:
      rope +
      sum(layers.map(layerBytes)) +
      sum([...new Set([embedding, head])].map((planned) => (planned === undefined ? 0 : matrixBytes(planned)))) +
      4 * (norm?.elements ?? 0),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Matrices have parts, vectors have elements. */
const layerBytes = (layer: PlannedLayer): number =>
  sum(
    Object.values(layer).map((planned: PlannedMatrix | PlannedVector) =>
      'parts' in planned ? matrixBytes(planned) : 4 * planned.elements,
    ),
  );

export const matrixBytes = ({ parts, columns }: PlannedMatrix): number =>
  sum(parts.map(({ rows, format }) => valueBytes(format, rows * columns) + scaleBytes(format, rows * columns)));

const bitsOf = { f32: 32, f16: 16, q8_0: 8, q4_0: 4 } as const satisfies Record<WeightFormat, number>;

/** Bytes of so many elements without their scales, in whole words. */
export const valueBytes = (format: WeightFormat, elements: number): number =>
  alignUp((elements * bitsOf[format]) / 8, 4);

export const scaleBytes = (format: WeightFormat, elements: number): number =>
  format === 'f32' || format === 'f16' ? 0 : alignUp((2 * elements) / quantBlock, 4);

/** As what a stored matrix lies on the device unless it is made smaller. K quants have no kernels; eight bits keep what they hold. */
function storedFormat(type: TensorType): WeightFormat {
  if (type === 'f16' || type === 'q8_0' || type === 'q4_0') return type;
  return type === 'q4_K' || type === 'q6_K' ? 'q8_0' : 'f32';
}

function formatOf({ stored, parameter }: StoredParameter, quantise: WeightFormat | undefined): WeightFormat {
  const own = storedFormat(stored.type);
  const isWhole = (parameter.shape.at(-1) ?? 0) % quantBlock === 0;
  const wanted = quantise === undefined || isWhole ? quantise : 'f16';
  return wanted !== undefined && bitsOf[wanted] < bitsOf[own] ? wanted : own;
}

function planMatrix(
  name: string,
  stored: readonly StoredParameter[],
  quantise: WeightFormat | undefined,
  limits: Limits,
): PlannedMatrix {
  const columns = stored[0]?.parameter.shape.at(-1) ?? 0;
  const sources: MatrixSource[] = [];
  const runs: { firstRow: number; rows: number; format: WeightFormat }[] = [];
  let end = 0;
  for (const from of stored) {
    const format = formatOf(from, quantise);
    const rows = from.parameter.elements / columns;
    const last = runs.at(-1);
    // Two halves and two scales share a word, which only one source writes.
    if (last?.format === format && isWholeWords(format, last.rows * columns)) last.rows += rows;
    else runs.push({ firstRow: end, rows, format });
    sources.push({ from, firstRow: end, format });
    end += rows;
  }
  return { name, rows: end, columns, parts: runs.flatMap((run) => cut(name, run, columns, limits)), sources };
}

function isWholeWords(format: WeightFormat, elements: number): boolean {
  if (format === 'f32') return true;
  return (format === 'f16' ? elements : elements / quantBlock) % 2 === 0;
}

/** Rows of parts are multiples of this where they can be: shaders read and store by fours, and groups make up to 64. */
const rowsTogether = 64;

function cut(name: string, run: PlannedPart, columns: number, limits: Limits): PlannedPart[] {
  const { firstRow, rows, format } = run;
  const single = Math.min(limits.bindingBytesMax, limits.bufferBytesMax);
  if (valueBytes(format, rows * columns) <= single) return [run];
  const rowsMax = Math.floor((8 * single) / (bitsOf[format] * columns));
  const step = rowsMax < rowsTogether ? 4 : rowsTogether;
  const each = alignUp(Math.ceil(rows / Math.ceil(rows / rowsMax)), step);
  const own = each <= rowsMax ? each : Math.floor(rowsMax / step) * step;
  if (own === 0) {
    throw new MemoryError(`${name}: rows of ${columns} weights pass the ${single} bytes of one buffer here`);
  }
  return Array.from({ length: Math.ceil(rows / own) }, (_, index) => ({
    firstRow: firstRow + index * own,
    rows: Math.min(own, rows - index * own),
    format,
  }));
}
