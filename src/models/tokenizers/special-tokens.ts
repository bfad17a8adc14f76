/**
 * Which special tokens end a text or a turn. A file names one; models that chat also end turns with another, whose name
 * is known (the same list by which llama.cpp finds a vocabulary's end-of-generation tokens).
 */

import type { AddedToken } from './form.ts';

const endings: ReadonlySet<string> = new Set([
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<|return|>',
  '<end_of_turn>',
  '<EOT>',
  '<|end_of_turn|>',
  '<|endofturn|>',
  '</s>',
]);

/** The ids that a file names, and those of special tokens known to end a turn, each once. */
export const stopTokensOf = (
  named: readonly (number | undefined)[],
  added: readonly AddedToken[],
): readonly number[] => [
  ...new Set([
    ...named.filter((token) => token !== undefined),
    ...added.filter(({ special, content }) => special === true && endings.has(content)).map(({ id }) => id),
  ]),
];
