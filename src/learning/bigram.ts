/** The floor that a trained network has to beat: a table of token pairs, counted on the training part, plus one for each pair. */

/**
 * Mean nats per token of the pairs inside the validation tail (from `start` to the end) under
 * p(b | a) = (pairs(a, b) + 1) / (pairs(a, any) + vocabulary), counted on the tokens before `start`.
 */
export function bigramLoss(tokens: Uint8Array, start: number, vocabulary: number): number {
  const pairs = new Uint32Array(vocabulary * vocabulary);
  const firsts = new Uint32Array(vocabulary);
  const count = (values: ArrayLike<number>, index: number): number => values[index] ?? 0;
  for (let index = 1; index < start; index++) {
    const first = count(tokens, index - 1);
    const pair = first * vocabulary + count(tokens, index);
    pairs[pair] = count(pairs, pair) + 1;
    firsts[first] = count(firsts, first) + 1;
  }
  let sum = 0;
  for (let index = start + 1; index < tokens.length; index++) {
    const first = count(tokens, index - 1);
    const seen = count(pairs, first * vocabulary + count(tokens, index));
    sum += Math.log(count(firsts, first) + vocabulary) - Math.log(seen + 1);
  }
  return sum / Math.max(1, tokens.length - start - 1);
}
