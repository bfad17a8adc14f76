/**
 * A run of a network's layers on one device, with the keys and values of many sequences in pages: all layers of a model that
 * fits, or one stage of a model spread over several. Rows go in, each a sequence and a position; activations come out, or at
 * the last stage tokens. A row's bits depend on its sequence and its kind alone, never on the rows beside it or on how a
 * prompt was cut. Which rows come when is decided elsewhere: `inference/batching.ts`, `inference/pipeline-stage.ts`.
 */

import { assert, present } from '../core/assert.ts';
import { copyBytes, viewBytes } from '../core/bytes.ts';
import type { Device, Pipeline } from '../kernels/device.ts';
import type { Choices } from '../kernels/variants.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { createArena, measureArena, type Arena, type MemoryNeed } from './arena.ts';
import type { NetworkWeights } from './network-weights.ts';
import { createPageTable, type PageTable, type SharedPrefix } from './page-table.ts';
import {
  embedRows,
  keptWidth,
  layersRun,
  logitsOfRows,
  logitsTensors,
  stageTensors,
  type LayersRun,
  type RowsKind,
  type StageSizes,
} from './stage-layers.ts';
import { chooserTensors, createTokenChooser, type ChosenTokens, type TokenDraw } from './token-chooser.ts';

export type { RowsKind } from './stage-layers.ts';
export type { SharedPrefix } from './page-table.ts';
export type { ChosenTokens, TokenDraw } from './token-chooser.ts';

export interface StageOptions {
  /** Its layers, with the embedding at the first stage and the head at the last; they stay the caller's to free. */
  readonly weights: NetworkWeights;
  /** Pages of the cache, in every layer; see `pagesThatFit`. */
  readonly pages: number;
  /** Positions of a page, a multiple of four; default 16. */
  readonly pageTokens?: number;
  /** Tokens that one sequence may reach: at most the weights' rotary table. */
  readonly positionsMax: number;
  /** Sequences open at once. */
  readonly sequencesMax: number;
  /** Rows of one `forward`. */
  readonly rowsMax: number;
  /** Rows of one `forward` whose logits are kept, and draws of one `sample`; default rowsMax. */
  readonly logitsMax?: number;
  /** Steps of one `decode`; default 8. */
  readonly stepsMax?: number;
  /** Default the device's. */
  readonly choices?: Choices;
}

/** A row: its sequence and its position. */
export type StageRow = readonly [sequence: number, position: number];

export interface StageForward {
  readonly kind: RowsKind;
  /** Of a sequence in rising order without gaps, going on where its last rows ended. */
  readonly rows: readonly StageRow[];
  /** At the first stage: a token for each row. */
  readonly tokens?: Uint32Array;
  /** At other stages: activations [rows, width]. */
  readonly values?: Float32Array;
  /** At the last stage: rows (their index here) whose logits are wanted; default all. */
  readonly logits?: readonly number[];
}

/** A row to go on from: its last token stands at `position` and is fed first; what is drawn after it is told by `draw`. */
export interface DecodeRow {
  readonly sequence: number;
  readonly position: number;
  readonly token: number;
  readonly draw: Omit<TokenDraw, 'row' | 'position'>;
}

export interface Stage {
  readonly config: ModelConfig;
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** Of buffers, the weights not among them. */
  readonly bytes: number;
  /** What is free, and what a sequence would take. */
  readonly pages: Pick<PageTable, 'pagesFree' | 'slotsFree' | 'pagesFor'>;
  /**
   * Room for a sequence of up to `tokensMax` tokens, all of it at once. With `prefix` it begins with what that sequence has
   * computed: full pages are shared, a partial one is copied. Throws `NoPagesError` where there is no room.
   */
  open(sequence: number, tokensMax: number, prefix?: SharedPrefix): void;
  /** Its pages are free at once; unknown sequences are ignored. */
  close(sequence: number): void;
  closeAll(): void;
  /** Computes rows; resolves with activations [rows, width], or at the last stage with undefined: its logits stay for `sample`. */
  forward(of: StageForward): Promise<Float32Array<ArrayBuffer> | undefined>;
  /** Tokens from the logits of the last `forward`; several draws may be from one row. */
  sample(draws: readonly TokenDraw[]): Promise<ChosenTokens[]>;
  /** Logits of the last `forward`, [logits, vocabulary], in the order in which they were wanted; for tests and scores. */
  readLogits(): Promise<Float32Array<ArrayBuffer>>;
  /**
   * On a stage that is first and last: so many steps of all rows without a readback between them. Returns the tokens of each
   * row. A sequence must have room for all of the steps, whatever comes of them.
   */
  decode(rows: readonly DecodeRow[], steps: number): Promise<ChosenTokens[][]>;
  /** Compiles what these numbers of rows need ahead of the first call. */
  prepare(rows: { readonly prefill?: number; readonly decode?: number }): Promise<void>;
  free(): void;
}

/** No room for a sequence now: close others, or ask for fewer tokens. */
export class NoPagesError extends Error {
  override readonly name = 'NoPagesError';
}

/** Positions of a page where nothing is said. */
export const pageTokensDefault = 16;
const stepsMaxDefault = 8;

/** What of a network a stage computes: whether it has the embedding and the head, and how many layers. */
export interface StageShape {
  readonly config: ModelConfig;
  readonly layers: number;
  readonly isLast: boolean;
}

type StageRoom = Omit<StageOptions, 'weights' | 'choices'>;

const sizesOf = ({ config, layers }: StageShape, room: StageRoom): StageSizes => {
  const { pages, pageTokens = pageTokensDefault, rowsMax, positionsMax, sequencesMax: slots } = room;
  return { config, layers, rowsMax, pages, pageTokens, pagesEach: Math.ceil(positionsMax / pageTokens), slots };
};

function layOut(arena: Arena, shape: StageShape, room: StageRoom) {
  const { rowsMax, logitsMax = rowsMax, stepsMax = stepsMaxDefault } = room;
  return {
    tensors: stageTensors(arena, sizesOf(shape, room)),
    ...(shape.isLast && {
      last: {
        ...logitsTensors(arena, shape.config, logitsMax),
        chooser: chooserTensors(arena, { vocabulary: shape.config.vocabulary, rowsMax: logitsMax, stepsMax }),
      },
    }),
  };
}

/** What a stage will hold beside its weights, before there are any. */
export const stageNeed = (shape: StageShape, room: StageRoom): MemoryNeed =>
  measureArena((arena) => layOut(arena, shape, room));

/** Throws `MemoryError` where the cache and what is computed beside it cannot fit. */
export function createStage(device: Device, options: StageOptions): Stage {
  const { weights, positionsMax, sequencesMax, rowsMax } = options;
  const { choices = device.choices, logitsMax = rowsMax, stepsMax = stepsMaxDefault } = options;
  const { config } = weights;
  const isFirst = weights.embedding !== undefined;
  const isLast = weights.head !== undefined && weights.norm !== undefined;
  const shape: StageShape = { config, layers: weights.layers.length, isLast };
  const sizes = sizesOf(shape, options);
  const { pageTokens } = sizes;
  const arena = createArena(device, 'stage', (measured) => layOut(measured, shape, options));
  const { tensors, last: kept } = layOut(arena, shape, options);
  const last = kept && {
    ...kept,
    chooser: createTokenChooser(device, kept.chooser, { vocabulary: config.vocabulary, choices }),
  };
  const table = createPageTable({ pages: options.pages, pageTokens, slots: sequencesMax });
  /** Positions that each sequence has computed. */
  const computed = new Map<number, number>();
  const runs = new Map<string, LayersRun>();
  /** Of the last `forward`: where the logits of each of its rows are. */
  let logitsRows: ReadonlyMap<number, number> = new Map();

  const runOf = (kind: RowsKind, rows: number): LayersRun => {
    const key = `${kind} ${rows}`;
    const found = runs.get(key) ?? layersRun(weights, sizes, tensors, { kind, rows, choices });
    runs.set(key, found);
    return found;
  };

  /** Writes where the rows stand, and takes note that they are computed. */
  const place = (rows: readonly StageRow[], steps = 1): void => {
    const places = new Uint32Array(2 * rows.length);
    for (const [index, [sequence, position]] of rows.entries()) {
      const { slot, pages, sharedTokens } = present(table.find(sequence), `sequence ${sequence} is not open`);
      const known = computed.get(sequence) ?? 0;
      const room = pages.length * pageTokens;
      assert(position <= known, `sequence ${sequence}: position ${position} comes after ${known} were computed`);
      assert(position >= sharedTokens, `sequence ${sequence}: position ${position} is shared and cannot be written`);
      assert(position + steps <= room, `sequence ${sequence}: position ${position + steps - 1} is beyond its ${room}`);
      computed.set(sequence, Math.max(known, position + steps));
      places.set([slot, position], 2 * index);
    }
    device.write(tensors.places.buffer, viewBytes(places));
  };

  const logitsDispatches = (rows: number, wanted: readonly number[] | undefined) => {
    if (last === undefined) return [];
    const chosen = wanted ?? Array.from({ length: rows }, (_, row) => row);
    assert(chosen.length <= logitsMax, `stage: logits of ${chosen.length} rows, it keeps ${logitsMax}`);
    logitsRows = new Map(chosen.map((row, index) => [row, index]));
    if (chosen.length === 0) return [];
    const gather = wanted !== undefined && chosen.some((row, index) => row !== index);
    if (gather) device.write(last.chosenRows.buffer, viewBytes(Uint32Array.from(chosen)));
    return logitsOfRows(weights, tensors, last, { rows, count: chosen.length, gather, choices });
  };

  async function forward({ kind, rows, tokens, values, logits }: StageForward) {
    assert(rows.length > 0 && rows.length <= rowsMax, `stage: ${rows.length} rows, it takes 1 to ${rowsMax}`);
    place(rows);
    if (isFirst) {
      assert(tokens?.length === rows.length, `stage: ${rows.length} rows want as many tokens`);
      device.write(tensors.tokens.buffer, viewBytes(tokens));
    } else {
      assert(
        values?.length === rows.length * config.width,
        `stage: ${rows.length} rows want ${config.width} values each`,
      );
      device.write(tensors.stream.buffer, viewBytes(values));
    }
    const run = runOf(kind, rows.length);
    run.move(0);
    const embed = embedRows(weights, tensors, tensors.tokens, rows.length);
    await device.run([...embed, ...run.dispatches, ...logitsDispatches(rows.length, logits)]);
    if (isLast) return undefined;
    return floats(await device.read(tensors.stream.buffer, 0, 4 * rows.length * config.width));
  }

  async function decode(rows: readonly DecodeRow[], steps: number): Promise<ChosenTokens[][]> {
    assert(last !== undefined && isFirst, 'stage: only a whole model decodes several steps at once');
    assert(rows.length > 0 && rows.length <= logitsMax, `stage: ${rows.length} rows, it decodes 1 to ${logitsMax}`);
    assert(steps > 0 && steps <= stepsMax, `stage: ${steps} steps, it takes 1 to ${stepsMax}`);
    place(
      rows.map(({ sequence, position }) => [sequence, position]),
      steps,
    );
    device.write(tensors.tokens.buffer, viewBytes(Uint32Array.from(rows, ({ token }) => token)));
    last.chooser.ask(
      rows.map(({ draw, position }, row) => ({ ...draw, row, position: position + 1 })),
      (row) => row,
    );
    const run = runOf('decode', rows.length);
    const logits = logitsDispatches(rows.length, undefined);
    for (let step = 0; step < steps; step++) {
      run.move(step);
      const fed = step === 0 ? tensors.tokens : last.chooser.tokensOf(step - 1);
      const embed = embedRows(weights, tensors, fed, rows.length);
      await device.run([...embed, ...run.dispatches, ...logits, ...last.chooser.dispatches(last.logits, step)]);
    }
    return last.chooser.read(steps);
  }

  return {
    config,
    isFirst,
    isLast,
    bytes: stageNeed(shape, options).bytes,
    pages: table,
    open(sequence, tokensMax, prefix) {
      assert(tokensMax <= positionsMax, `sequence ${sequence}: ${tokensMax} tokens, the stage holds ${positionsMax}`);
      const known = prefix && (computed.get(prefix.of) ?? 0);
      assert((known ?? 0) >= (prefix?.tokens ?? 0), `a prefix of ${prefix?.tokens} tokens, ${known} were computed`);
      const opened = table.open(sequence, tokensMax, prefix);
      if (opened === undefined) {
        const wanted = table.pagesFor(tokensMax, prefix);
        throw new NoPagesError(
          `no room for a sequence of ${tokensMax} tokens: it takes ${wanted} pages of ${pageTokens}, ${table.pagesFree} are ` +
            `free, and ${table.slotsFree} of ${sequencesMax} sequences; close others or ask for fewer tokens`,
        );
      }
      computed.set(sequence, prefix?.tokens ?? 0);
      const row = Uint32Array.from(opened.pages);
      device.write(tensors.pages.buffer, viewBytes(row), 4 * opened.slot * sizes.pagesEach);
      const { copied } = opened;
      if (copied === undefined) return;
      const bytes = 4 * pageTokens * keptWidth(config);
      for (const { buffer } of tensors.caches) {
        // WebGPU copies within no buffer.
        device.copy(buffer, copied.from * bytes, tensors.page.buffer, 0, bytes);
        device.copy(tensors.page.buffer, 0, buffer, copied.to * bytes, bytes);
      }
    },
    close(sequence) {
      table.close(sequence);
      computed.delete(sequence);
    },
    closeAll() {
      for (const sequence of computed.keys()) table.close(sequence);
      computed.clear();
    },
    forward,
    sample: async (draws) => {
      assert(last !== undefined, 'stage: only the last one samples');
      const chosen: ChosenTokens[] = [];
      for (let first = 0; first < draws.length; first += logitsMax) {
        last.chooser.ask(draws.slice(first, first + logitsMax), (row) =>
          present(logitsRows.get(row), `stage: row ${row} has no logits`),
        );
        await device.run(last.chooser.dispatches(last.logits, 0));
        chosen.push(...(await last.chooser.read(1)).flat());
      }
      return chosen;
    },
    readLogits: async () => {
      assert(last !== undefined, 'stage: only the last one has logits');
      return floats(await device.read(last.logits.buffer, 0, 4 * logitsRows.size * config.vocabulary));
    },
    decode,
    prepare: async ({ prefill, decode: decoded }) => {
      const pipelines = new Set<Pipeline>();
      for (const [kind, rows] of [
        ['prefill', prefill],
        ['decode', decoded],
      ] as const) {
        if (rows === undefined) continue;
        const list = [...embedRows(weights, tensors, tensors.tokens, rows), ...runOf(kind, rows).dispatches];
        const logits = last && logitsOfRows(weights, tensors, last, { rows, count: 1, gather: true, choices });
        for (const { pipeline } of [...list, ...(logits ?? [])]) pipelines.add(pipeline);
      }
      for (const { pipeline } of last?.chooser.dispatches(last.logits, 0) ?? []) pipelines.add(pipeline);
      await device.prepare([...pipelines]);
    },
    free: () => arena.free(),
  };
}

const floats = (bytes: Uint8Array): Float32Array<ArrayBuffer> => new Float32Array(copyBytes(bytes).buffer);

/**
 * Pages of these layers' cache that so many bytes hold, as far as a binding of this device holds a layer's; at most those
 * that `tokensMax` tokens need.
 */
export function pagesThatFit(
  device: Pick<Device, 'limits'>,
  of: {
    readonly config: ModelConfig;
    readonly layers: number;
    readonly bytes: number;
    readonly tokensMax: number;
    readonly pageTokens?: number;
  },
): number {
  const { config, layers, bytes, tokensMax, pageTokens = pageTokensDefault } = of;
  const { bindingBytesMax, bufferBytesMax } = device.limits;
  const pageBytes = 4 * pageTokens * keptWidth(config);
  const byBinding = Math.floor(Math.min(bindingBytesMax, bufferBytesMax) / pageBytes);
  return Math.max(0, Math.min(byBinding, Math.floor(bytes / (layers * pageBytes)), Math.ceil(tokensMax / pageTokens)));
}
