/**
 * Tokens out of logits, on the device: every row with its own temperature, cuts, seed and sample number, several steps without
 * anything read between them, and then everything that was chosen in one reading. What is drawn is `kernels/sample.ts`.
 */

import { copyBytes, viewBytes } from '../core/bytes.ts';
import type { Device, DeviceBuffer, Dispatch } from '../kernels/device.ts';
import type { Tensor } from '../kernels/kernel.ts';
import { logitsRowWord, packWishes, sampleDispatch, sampleWishWords, type SampleWish } from '../kernels/sample.ts';
import { topLogitsDispatch } from '../kernels/top-logits.ts';
import type { Choices } from '../kernels/variants.ts';
import type { Arena } from './arena.ts';

/** A token to draw. */
export interface TokenDraw extends Omit<SampleWish, 'logitsRow'> {
  /** The row of the last `forward` after which it comes. */
  readonly row: number;
  /** So many of the likeliest tokens are told with it, up to `topTokensMax`; default 0. */
  readonly top?: number;
}

export interface ChosenTokens {
  readonly token: number;
  /** Natural logarithm of its probability before temperature and cuts; NaN where a logit was no number. */
  readonly logprob: number;
  /** `[token, logprob]`, the likeliest first. */
  readonly top: readonly (readonly [number, number])[];
}

/** Alternatives that may be asked for with each token. */
export const topTokensMax = 20;

export interface TokenChooser {
  /** What the next steps draw. Row i of every step is draw i; `logitsRowOf` says where the logits of a row of `forward` are. */
  ask(draws: readonly TokenDraw[], logitsRowOf: (row: number) => number): void;
  /** Draws step `step`, positions moved on by as many. */
  dispatches(logits: Tensor, step: number): readonly Dispatch[];
  /** u32: what step `step` has drawn. */
  tokensOf(step: number): Tensor;
  /** What the first `steps` steps have drawn, by draw and by step. */
  read(steps: number): Promise<ChosenTokens[][]>;
}

type ChooserTensors = ReturnType<typeof chooserTensors>;

/** For draws of up to `rowsMax` rows in up to `stepsMax` steps. */
export function chooserTensors(
  arena: Arena,
  of: { readonly vocabulary: number; readonly rowsMax: number; readonly stepsMax: number },
) {
  const topMax = Math.min(topTokensMax, of.vocabulary);
  const each = of.stepsMax * of.rowsMax;
  return {
    wishes: arena.tensor('wishes', of.rowsMax * sampleWishWords),
    tokens: arena.tensor('chosen', each),
    logProbabilities: arena.tensor('log probabilities', each),
    topTokens: arena.tensor('top tokens', each * topMax),
    topLogProbabilities: arena.tensor('top log probabilities', each * topMax),
    /** All of these behind one another, to be read at once. */
    results: arena.tensor('results', each * (2 + 2 * topMax)),
  };
}

export function createTokenChooser(
  device: Device,
  tensors: ChooserTensors,
  { vocabulary, choices }: { readonly vocabulary: number; readonly choices: Choices },
): TokenChooser {
  const { wishes, tokens, logProbabilities, topTokens, topLogProbabilities, results } = tensors;
  const topMax = Math.min(topTokensMax, vocabulary);
  let asked: readonly TokenDraw[] = [];
  let top = 0;
  const at = ({ buffer }: Tensor, offset: number): Tensor => ({ buffer, offset });

  return {
    ask: (draws, logitsRowOf) => {
      asked = draws;
      top = Math.min(topMax, Math.max(0, ...draws.map((draw) => draw.top ?? 0)));
      const packed = packWishes(draws.map((draw) => ({ ...draw, logitsRow: logitsRowOf(draw.row) })));
      device.write(wishes.buffer, viewBytes(packed));
    },
    dispatches: (logits, step) => {
      const rows = asked.length;
      const common = { logits, rows, vocabulary, choices };
      const drawn = sampleDispatch({
        ...common,
        wishes,
        tokens: at(tokens, step * rows),
        logProbabilities: at(logProbabilities, step * rows),
        advance: step,
      });
      if (top === 0) return [drawn];
      const likeliest = topLogitsDispatch({
        ...common,
        logitsRows: at(wishes, logitsRowWord),
        logitsRowsStride: sampleWishWords,
        tokens: at(topTokens, step * rows * top),
        logProbabilities: at(topLogProbabilities, step * rows * top),
        count: top,
      });
      return [drawn, likeliest];
    },
    tokensOf: (step) => at(tokens, step * asked.length),
    read: async (steps) => {
      const rows = asked.length;
      const count = steps * rows;
      const parts = [tokens, logProbabilities, ...(top > 0 ? [topTokens, topLogProbabilities] : [])];
      const lengths = parts.map((_, index) => count * (index < 2 ? 1 : top));
      let end = 0;
      for (const [index, { buffer }] of parts.entries()) {
        const length = lengths[index] ?? 0;
        device.copy(buffer, 0, results.buffer, 4 * end, 4 * length);
        end += length;
      }
      const bytes = await readWords(device, results.buffer, end);
      return asked.map((draw, row) =>
        Array.from({ length: steps }, (_, step) =>
          chosenAt(bytes, { count, top, shown: draw.top ?? 0 }, step * rows + row),
        ),
      );
    },
  };
}

async function readWords(device: Device, buffer: DeviceBuffer, words: number): Promise<ArrayBuffer> {
  return copyBytes(await device.read(buffer, 0, 4 * words)).buffer;
}

function chosenAt(
  bytes: ArrayBuffer,
  { count, top, shown }: { readonly count: number; readonly top: number; readonly shown: number },
  index: number,
): ChosenTokens {
  const words = new Uint32Array(bytes);
  const floats = new Float32Array(bytes);
  const first = 2 * count + index * top;
  return {
    token: words[index] ?? 0,
    logprob: floats[count + index] ?? NaN,
    top: Array.from({ length: Math.min(top, shown) }, (_, rank): readonly [number, number] => [
      words[first + rank] ?? 0,
      floats[first + count * top + rank] ?? NaN,
    ]),
  };
}
