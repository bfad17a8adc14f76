/** A generate unit's result as bytes: one JSON text with its fields in a fixed order, so that equal samples are equal bytes. */

import { fromUtf8, utf8, type Bytes } from '../core/bytes.ts';
import { resultBytesMax } from '../core/limits.ts';
import { ok, problem, type Result } from '../core/result.ts';
import { finite, parseJson, v, whole } from '../core/schema.ts';
import type { GeneratePlan } from '../protocol/manifest.ts';

const sampleSchema = v.strictObject({
  /** The sample's number in the whole job. */
  sample: whole(0, 1_000_000),
  /** Generated ids only; a stop token is not among them. */
  tokens: v.array(whole(0, 1_000_000)),
  /** Natural logarithm of the probability of `tokens` after the prompt, at temperature 1 without cuts. */
  logprob: finite,
  finish: v.picklist(['stop', 'length']),
});
export type GeneratedSample = v.InferOutput<typeof sampleSchema>;

const resultSchema = v.strictObject({ samples: v.array(sampleSchema) });

/** Which samples unit `unit` draws: `first`, and how many. */
export function samplesOfUnit(plan: GeneratePlan, unit: number): { readonly first: number; readonly count: number } {
  const first = unit * plan.samplesPerUnit;
  return { first, count: Math.max(0, Math.min(plan.samplesPerUnit, plan.samples - first)) };
}

/** How many tokens a sample may get: what was asked for, and no more than the context holds. */
export const newTokensMax = (plan: GeneratePlan): number =>
  Math.min(plan.maxTokens, plan.model.context - plan.promptTokens.length);

export const encodeGeneration = (samples: readonly GeneratedSample[]): Bytes =>
  utf8(
    JSON.stringify({
      samples: samples.map(({ sample, tokens, logprob, finish }) => ({ sample, tokens, logprob, finish })),
    }),
  );

/** The samples, if they are those of this unit and obey the plan. */
export function decodeGeneration(
  plan: GeneratePlan,
  unit: number,
  bytes: Uint8Array,
): Result<readonly GeneratedSample[]> {
  const where = `samples of unit ${unit}`;
  if (bytes.byteLength > resultBytesMax) return problem('generation', `${where}: larger than ${resultBytesMax} bytes`);
  let text: string;
  try {
    text = fromUtf8(bytes);
  } catch {
    return problem('generation', `${where}: not UTF-8`);
  }
  const parsed = parseJson(resultSchema, text, where);
  if (!parsed.ok) return parsed;
  const { samples } = parsed.value;
  const { first, count } = samplesOfUnit(plan, unit);
  if (samples.length !== count) return problem('generation', `${where}: ${samples.length} samples, expected ${count}`);
  const most = newTokensMax(plan);
  for (const [index, { sample, tokens, finish }] of samples.entries()) {
    const refuse = (what: string) => problem('generation', `${where}: sample ${sample}: ${what}`);
    if (sample !== first + index) return refuse(`expected sample ${first + index} here`);
    if (tokens.length > most || (finish === 'length' && tokens.length !== most)) {
      return refuse(`${tokens.length} tokens and finish '${finish}', the most is ${most}`);
    }
    const foreign = tokens.find((token) => token >= plan.model.vocabulary || plan.stopTokens.includes(token));
    if (foreign !== undefined) return refuse(`token ${foreign} is outside the vocabulary or a stop token`);
  }
  return ok(samples);
}
