/**
 * Mamba-2 one token at a time on a device, for many sequences at once: each has a slot, whose state is all that is kept of its
 * text. Four dispatches a layer. A prompt is fed as it stands, token after token; a row's bits do not depend on the others.
 */

import { assert } from '../core/assert.ts';
import { copyBytes, viewBytes } from '../core/bytes.ts';
import type { Device, Dispatch } from '../kernels/device.ts';
import { embeddingDispatch } from '../kernels/embedding.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { matvecDispatch } from '../kernels/matvec.ts';
import { convolveDispatch, ssmStepDispatch } from '../kernels/ssm.ts';
import type { Choices } from '../kernels/variants.ts';
import { createArena, type Arena } from './arena.ts';
import {
  channelsOf,
  innerWidth,
  mambaLayout,
  projectedWidth,
  type MambaConfig,
  type MambaLayer,
  type MambaTensor,
} from './mamba-parameters.ts';

export interface MambaOptions {
  readonly config: MambaConfig;
  /** Sequences that have a state at once. */
  readonly slots: number;
  /** Rows of one `feed`. */
  readonly rowsMax: number;
  /** Default the device's. */
  readonly choices?: Choices;
}

export interface MambaDecoder {
  /** The flat vector of `mamba-parameters.ts`. */
  load(parameters: Float32Array): void;
  /** Forgets what the slot has read. */
  clear(slot: number): void;
  /** Reads one token for each of some slots, no slot twice, and leaves the logits after them. */
  feed(rows: readonly (readonly [slot: number, token: number])[]): Promise<void>;
  /** Of the last `feed`: [rows, vocabulary]. */
  readonly logits: Tensor;
  readLogits(): Promise<Float32Array<ArrayBuffer>>;
  free(): void;
}

/** Throws `MemoryError` where it cannot fit. */
export function createMambaDecoder(device: Device, options: MambaOptions): MambaDecoder {
  const { config, slots, rowsMax, choices = device.choices } = options;
  const arena = createArena(device, 'mamba', (measured) => layOut(measured, options));
  const tensors = layOut(arena, options);
  const layout = mambaLayout(config);
  const lists = new Map<number, readonly Dispatch[]>();
  const listOf = (rows: number): readonly Dispatch[] => {
    const found = lists.get(rows) ?? dispatchesOf(config, tensors, rows, choices);
    lists.set(rows, found);
    return found;
  };
  let fed = 0;
  return {
    load: (parameters) => {
      assert(parameters.length === layout.elements, `mamba: ${parameters.length} of ${layout.elements} parameters`);
      device.write(tensors.parameters.buffer, viewBytes(parameters));
    },
    clear: (slot) => {
      for (const { inputs, memory } of tensors.states) {
        for (const { buffer } of [inputs, memory]) {
          const bytes = buffer.bytes / slots;
          device.write(buffer, new Uint8Array(bytes), slot * bytes);
        }
      }
    },
    feed: async (rows) => {
      assert(rows.length > 0 && rows.length <= rowsMax, `mamba: ${rows.length} rows, it takes 1 to ${rowsMax}`);
      const own = rows.map(([slot]) => slot);
      assert(new Set(own).size === own.length && own.every((slot) => slot < slots), `mamba: slots ${own.join()}`);
      device.write(tensors.slots.buffer, viewBytes(Uint32Array.from(own)));
      device.write(tensors.tokens.buffer, viewBytes(Uint32Array.from(rows, ([, token]) => token)));
      fed = rows.length;
      await device.run(listOf(rows.length));
    },
    logits: tensors.logits,
    readLogits: async () => {
      const bytes = await device.read(tensors.logits.buffer, 0, 4 * fed * config.vocabulary);
      return new Float32Array(copyBytes(bytes).buffer);
    },
    free: () => arena.free(),
  };
}

function layOut(arena: Arena, { config, slots, rowsMax }: MambaOptions) {
  const row = (name: string, columns: number): Tensor => arena.tensor(name, rowsMax * columns);
  return {
    parameters: arena.tensor('parameters', mambaLayout(config).elements),
    states: Array.from({ length: config.layers }, (_, layer) => ({
      // A network of one tap remembers no inputs.
      inputs: arena.tensor(`layer ${layer} inputs`, slots * Math.max(1, channelsOf(config) * (config.taps - 1))),
      memory: arena.tensor(`layer ${layer} memory`, slots * config.heads * config.states * config.headWidth),
    })),
    slots: row('slots', 1),
    tokens: row('tokens', 1),
    stream: row('stream', config.width),
    projected: row('projected', projectedWidth(config)),
    convolved: row('convolved', channelsOf(config)),
    mixed: row('mixed', innerWidth(config)),
    logits: row('logits', config.vocabulary),
  };
}
type Tensors = ReturnType<typeof layOut>;

function dispatchesOf(config: MambaConfig, tensors: Tensors, rows: number, choices: Choices): Dispatch[] {
  const { tokens, stream, logits } = tensors;
  const { width, vocabulary, normEpsilon: epsilon } = config;
  const layout = mambaLayout(config);
  const of = ({ offset }: MambaTensor): Tensor => ({ buffer: tensors.parameters.buffer, offset });
  const table = of(layout.embedding);
  const norm = { gain: of(layout.norm), epsilon };
  return [
    embeddingDispatch({ tokens, table, output: stream, rows, width, vocabulary }),
    ...layout.layers.flatMap((layer, index) => layerDispatches(config, tensors, layer, index, { rows, choices, of })),
    matvecDispatch({
      input: stream,
      norm,
      weight: table,
      output: logits,
      rows,
      columns: vocabulary,
      inner: width,
      choices,
    }),
  ];
}

function layerDispatches(
  config: MambaConfig,
  { slots, stream, projected, convolved, mixed, states }: Tensors,
  layer: MambaLayer,
  index: number,
  given: { readonly rows: number; readonly choices: Choices; readonly of: (tensor: MambaTensor) => Tensor },
): Dispatch[] {
  const state = states[index];
  if (state === undefined) return [];
  const { rows, choices, of } = given;
  const { width, normEpsilon: epsilon } = config;
  const inner = innerWidth(config);
  return [
    matvecDispatch({
      input: stream,
      norm: { gain: of(layer.norm), epsilon },
      weight: of(layer.inProjection),
      output: projected,
      rows,
      columns: projectedWidth(config),
      inner: width,
      choices,
    }),
    convolveDispatch({
      slots,
      // Behind the gate.
      input: { ...projected, offset: inner },
      inputStride: projectedWidth(config),
      weight: of(layer.convolution),
      bias: of(layer.convolutionBias),
      state: state.inputs,
      output: convolved,
      rows,
      channels: channelsOf(config),
      taps: config.taps,
    }),
    ssmStepDispatch({
      slots,
      projected,
      convolved,
      aLog: of(layer.aLog),
      skip: of(layer.skip),
      stepBias: of(layer.stepBias),
      state: state.memory,
      output: mixed,
      rows,
      ...config,
    }),
    matvecDispatch({
      input: mixed,
      norm: { gain: of(layer.mixerNorm), epsilon },
      weight: of(layer.outProjection),
      output: stream,
      rows,
      columns: width,
      inner,
      accumulate: true,
      choices,
    }),
  ];
}
