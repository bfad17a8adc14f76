/**
 * Whether a text ends in the right sum: the verifier of this folder, for `--verifier examples/addition/check-sum.mjs`. A
 * verifier gets the problem's line and a text that was drawn, and says true, false, or a number that ranks texts.
 */

/** @param {{ prompt: string }} problem @param {string} text */
export default function checkSum({ prompt }, text) {
  const columns = prompt.replace(':', '').split(' ').reverse();
  const [a, b] = [0, 1].map((row) => Number(columns.map((digits) => digits[row]).join('')));
  const answer = /=(\d{4})\n?$/.exec(text)?.[1];
  return answer !== undefined && a !== undefined && b !== undefined && Number(answer) === a + b;
}
