/**
 * What is said about a model that answers requests (`swarm/serving.ts`). Who sends what:
 *
 *   hub to volunteer        stage-wire, stage-open, stage-close
 *   volunteer to hub        stage-ready, stage-tokens
 *   volunteer to volunteer  stage-rows (+1 tail), stage-want, stage-tokens; by the hub where no link stands between them
 *   submitter to hub        ask, ask-stop
 *   hub to submitter        answer, answered, ask-refused
 *
 * A prompt and each of its samples are streams of rows with numbers of their own: the prompt's rows are computed once, and
 * every sample goes on from there. Positions count from the prompt's first token.
 */

import { sequencesMax, servedContextMax } from '../core/limits.ts';
import { accountId, finite, fraction, jobId, peerId, shortText, v, whole } from '../core/schema.ts';

const unit = whole(0, 1_000_000);
const attempt = whole(1, Number.MAX_SAFE_INTEGER);
const leaseKey = { job: jobId, unit, attempt };
const token = whole(0, 1_000_000);
const tokens = v.pipe(v.array(token), v.maxLength(servedContextMax));
const stream = whole(0, Number.MAX_SAFE_INTEGER);
const position = whole(0, servedContextMax);
/** The number of a request's last sample, at most. */
export const sampleMax = 1_000_000;
const sample = whole(0, sampleMax);
/** Alternatives that may be asked for at each place: OpenAI's bound. */
export const topLogprobsMax = 20;
const top = v.pipe(v.array(v.strictTuple([token, finite])), v.maxLength(topLogprobsMax));
const finishReason = v.picklist(['stop', 'length']);
const requestId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits'));

/** What a lease of a stage adds: which layers of which pipeline, and whether it only stands by. */
export const stageSchema = v.strictObject({
  pipeline: whole(0, 255),
  stage: whole(0, 63),
  stages: whole(1, 64),
  firstLayer: whole(0, 255),
  layers: whole(1, 256),
});
export type StageLease = v.InferOutput<typeof stageSchema>;

export const servingReportSchema = v.strictObject({
  up: whole(0, 256),
  waiting: whole(0, 1_000_000),
  running: whole(0, 1_000_000),
  /** Volunteers that are missing before it answers, and about how many bytes of memory each would lend. */
  missing: whole(0, 64),
  bytes: whole(0, Number.MAX_SAFE_INTEGER),
});

/** How the tokens of a request are chosen; the same for all of its samples. */
const samplingFields = {
  maxTokens: whole(1, servedContextMax),
  /** 0 takes the likeliest token. */
  temperature: v.pipe(finite, v.minValue(0), v.maxValue(100)),
  topP: v.pipe(fraction, v.gtValue(0)),
  /** 0 keeps all. */
  topK: whole(0, 1_000_000),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  /** Ids that end a sample and are not part of it. */
  stopTokens: v.pipe(v.array(token), v.maxLength(64)),
  topLogprobs: whole(0, topLogprobsMax),
};
const samplingSchema = v.strictObject(samplingFields);
export type ServeSampling = v.InferOutput<typeof samplingSchema>;

const chosenSchema = v.strictObject({
  stream,
  position,
  token,
  /** Natural logarithm of its probability at temperature 1 without cuts. */
  logprob: finite,
  /** The likeliest tokens there, most likely first, as many as the request asked for. */
  top,
});
export type ChosenToken = v.InferOutput<typeof chosenSchema>;

const answeredSchema = v.strictObject({ sample, token, logprob: finite, top });
export type AnsweredToken = v.InferOutput<typeof answeredSchema>;

const computedBySchema = v.strictObject({
  pipeline: whole(0, 255),
  stage: whole(0, 63),
  firstLayer: whole(0, 255),
  layers: whole(1, 256),
  account: accountId,
  peer: peerId,
  deviceClass: shortText,
});
/** A volunteer that computed a part of an answer. */
export type ComputedBy = v.InferOutput<typeof computedBySchema>;

/** Set by who cannot reach the other directly; the hub turns `to` into `from`. */
const relayed = { to: v.optional(peerId), from: v.optional(peerId) };
const rowsPerMessageMax = 512;

export const servingSchemas = {
  /** The stage's weights lie on the device. */
  'stage-ready': v.strictObject({
    type: v.literal('stage-ready'),
    ...leaseKey,
    bytes: whole(0, Number.MAX_SAFE_INTEGER),
  }),
  /** Who stands before and after this stage; the last one's next is the first. Absent where it has none, or only stands by. */
  'stage-wire': v.strictObject({
    type: v.literal('stage-wire'),
    ...leaseKey,
    previous: v.optional(peerId),
    next: v.optional(peerId),
  }),
  /** A prompt and its samples; `tokens` are those that the samples have already, when a stage is taken over. */
  'stage-open': v.strictObject({
    type: v.literal('stage-open'),
    ...leaseKey,
    prompt: stream,
    promptTokens: v.pipe(tokens, v.minLength(1)),
    /** Samples in all, where they come in several messages. */
    count: whole(1, sequencesMax),
    samples: v.pipe(v.array(v.strictObject({ stream, sample, tokens })), v.minLength(1), v.maxLength(sequencesMax)),
    sampling: samplingSchema,
  }),
  'stage-close': v.strictObject({
    type: v.literal('stage-close'),
    ...leaseKey,
    streams: v.pipe(v.array(stream), v.minLength(1), v.maxLength(2 * sequencesMax)),
  }),
  'stage-tokens': v.strictObject({
    type: v.literal('stage-tokens'),
    ...leaseKey,
    ...relayed,
    tokens: v.pipe(v.array(chosenSchema), v.minLength(1), v.maxLength(sequencesMax)),
  }),
  /** Activations [rows, width] in the plan's format, one row for each [stream, position]. */
  'stage-rows': v.strictObject({
    type: v.literal('stage-rows'),
    job: jobId,
    ...relayed,
    rows: v.pipe(v.array(v.strictTuple([stream, position])), v.minLength(1), v.maxLength(rowsPerMessageMax)),
  }),
  /** From which position on rows of these streams are to come. */
  'stage-want': v.strictObject({
    type: v.literal('stage-want'),
    job: jobId,
    ...relayed,
    wants: v.pipe(v.array(v.strictTuple([stream, position])), v.minLength(1), v.maxLength(2 * sequencesMax)),
  }),

  ask: v.strictObject({
    type: v.literal('ask'),
    /** The asker's own, random. */
    id: requestId,
    job: jobId,
    promptTokens: v.pipe(tokens, v.minLength(1)),
    /** Samples `first` to `first + samples - 1` of the seed. */
    firstSample: sample,
    samples: whole(1, 1024),
    ...samplingFields,
  }),
  /** Ends these samples, which then finish without a reason; without `samples` the whole request. */
  'ask-stop': v.strictObject({
    type: v.literal('ask-stop'),
    id: requestId,
    samples: v.optional(v.array(sample)),
  }),
  answer: v.strictObject({
    type: v.literal('answer'),
    id: requestId,
    tokens: v.array(answeredSchema),
    finished: v.array(v.strictObject({ sample, reason: finishReason })),
  }),
  /** The last word on a request. */
  answered: v.strictObject({
    type: v.literal('answered'),
    id: requestId,
    by: v.array(computedBySchema),
  }),
  'ask-refused': v.strictObject({
    type: v.literal('ask-refused'),
    id: requestId,
    kind: v.picklist(['unknown-model', 'busy', 'invalid', 'failed']),
    reason: v.string(),
    /** For `busy`: when to ask again. */
    retrySeconds: v.optional(whole(1, 3600)),
  }),
} as const;

/** Messages of one volunteer to another, which the hub passes on where no link stands between them. */
export const stageTraffic = ['stage-rows', 'stage-want', 'stage-tokens'] as const;
