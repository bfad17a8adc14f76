/**
 * One answer out of many samples: by majority vote (self-consistency, Wang et al. 2022, arXiv 2203.11171), by a vote weighted
 * with scores, by log-probability, or by the best score of a verifier. All are deterministic: the same samples in any
 * order give the same answer. How answers are cut out of texts is said by a pattern; scores come from elsewhere.
 */

import { assert } from '../core/assert.ts';

/** What selection looks at in a sample. */
export interface Candidate {
  /** Normalised, so that equal answers are equal texts; empty where there is none, and then chosen last. */
  readonly answer: string;
  /** Natural logarithm of the probability of its tokens. */
  readonly logprob: number;
  /** How many those are. */
  readonly tokens: number;
  /** What a verifier said; larger is better. */
  readonly score?: number | undefined;
}

export const selectionNames = ['majority', 'logprob', 'verifier', 'weighted'] as const;
export type SelectionName = (typeof selectionNames)[number];

/** Selections that look at scores. */
export const needsScores = (name: SelectionName): boolean => name === 'verifier' || name === 'weighted';

export interface Selected {
  /** Index of the chosen sample; of a vote, that of the likeliest sample with the winning answer. */
  readonly index: number;
  readonly answer: string;
  /** Samples with this answer. */
  readonly votes: number;
}

/** The choice by this name among at least one candidate. */
export function select<C extends Candidate>(name: SelectionName, candidates: readonly C[]): Selected {
  const answered = candidates.filter(({ answer }) => answer !== '');
  if (answered.length === 0 || answered.length === candidates.length) return selectAny(name, candidates);
  const selected = selectAny(name, answered);
  return { ...selected, index: candidates.findIndex((candidate) => candidate === answered[selected.index]) };
}

function selectAny<C extends Candidate>(name: SelectionName, candidates: readonly C[]): Selected {
  switch (name) {
    case 'majority':
      return vote(candidates, () => 1);
    case 'weighted':
      return vote(candidates, scoreOf);
    case 'logprob':
      return best(candidates, meanLogprob);
    case 'verifier':
      return best(candidates, scoreOf);
  }
}

/**
 * Log-probability of a token of the sample on average, not in sum: a sum prefers whatever is short. A sample without any
 * token comes last.
 */
export const meanLogprob = ({ logprob, tokens }: Candidate): number => (tokens === 0 ? -Infinity : logprob / tokens);

function scoreOf({ score }: Candidate): number {
  assert(score !== undefined, 'a choice by score among samples that have none');
  return score;
}

/** The answer with the largest sum of weights; ties go to the larger sum of log-probabilities, then in order of text. */
function vote<C extends Candidate>(candidates: readonly C[], weightOf: (candidate: C) => number): Selected {
  const ranked = [...groupByAnswer(candidates)].map(([answer, members]) => ({
    answer,
    members,
    weight: exactSum(members.map(weightOf)),
    logprob: exactSum(members.map(({ logprob }) => logprob)),
  }));
  const [first] = ranked.toSorted((x, y) => y.weight - x.weight || y.logprob - x.logprob || order(x.answer, y.answer));
  assert(first !== undefined, 'a vote among no samples');
  const { answer, members } = first;
  return {
    ...best(candidates, (candidate) => (candidate.answer === answer ? meanLogprob(candidate) : -Infinity)),
    answer,
    votes: members.length,
  };
}

/** The sample with the largest value; ties go in order of text, then to the first. */
function best<C extends Candidate>(candidates: readonly C[], valueOf: (candidate: C) => number): Selected {
  const [first] = candidates
    .map((candidate, index) => ({ index, answer: candidate.answer, value: valueOf(candidate) }))
    .toSorted((x, y) => (x.value === y.value ? order(x.answer, y.answer) : y.value - x.value));
  assert(first !== undefined, 'a choice among no samples');
  const { index, answer } = first;
  return { index, answer, votes: candidates.filter((candidate) => candidate.answer === answer).length };
}

function groupByAnswer<C extends Candidate>(candidates: readonly C[]): Map<string, C[]> {
  const groups = new Map<string, C[]>();
  for (const candidate of candidates) {
    const group = groups.get(candidate.answer);
    if (group === undefined) groups.set(candidate.answer, [candidate]);
    else group.push(candidate);
  }
  return groups;
}

const order = (x: string, y: string): number => (x < y ? -1 : x > y ? 1 : 0);

/** The same for the same numbers in any order: they are added from the smallest up. */
const exactSum = (values: readonly number[]): number => values.toSorted((x, y) => x - y).reduce((sum, x) => sum + x, 0);

/**
 * The answer in a text: what the pattern's first group matches, or the whole match where it has no group, in the last place
 * where it occurs; without a pattern the first line that says something. Undefined where there is none.
 */
export function extractAnswer(text: string, pattern?: RegExp): string | undefined {
  if (pattern === undefined) return text.split('\n').find((line) => line.trim() !== '');
  const global = new RegExp(pattern.source, [...new Set([...pattern.flags, 'g'])].join(''));
  const last = [...text.matchAll(global)].at(-1);
  return last?.[1] ?? last?.[0];
}

/**
 * Answers that mean the same as the same text: without spaces around and in a row, case, a full stop at the end, and in
 * numbers without commas between thousands, zeros in front, or zeros after the decimal point.
 */
export function normaliseAnswer(answer: string): string {
  const plain = answer
    .normalize('NFKC')
    .trim()
    .replaceAll(/\s+/g, ' ')
    .replace(/(?<=.)\s*\.$/, '')
    .toLowerCase();
  const digits = /^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(plain) ? plain.replaceAll(',', '') : plain;
  const [, sign, whole, part] = /^([-+]?)0*(\d+)(?:\.(\d*?)0*)?$/.exec(digits) ?? [];
  if (whole === undefined) return plain;
  const value = part === undefined || part === '' ? whole : `${whole}.${part}`;
  return sign === '-' && value !== '0' ? `-${value}` : value;
}
