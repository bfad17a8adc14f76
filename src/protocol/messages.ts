/**
 * Every message between a hub and its peers: one schema each, string tags. Who sends what:
 *
 *   both        hello, prove, ping, pong, refused, chunk-get, chunk, chunk-missing
 *   chunks      chunks-held, chunks-sought by a volunteer; chunk-sources by the hub
 *   volunteers  among themselves: chunk-get, chunk, chunk-missing, peer-ready
 *   volunteer   ready, pull, progress, result (+1 tail), failed, release
 *   hub         lease, revoke, settled, standing; unit-accepted (+1 tail), job-state, chunks-wanted, jobs
 *   submitter   submit, watch, cancel, list-jobs
 *
 * Those about served models are in `serving-messages.ts`.
 *
 * A message fits a frame's header; the bytes of results and chunks are tails. Peers are strangers: a header is parsed
 * before anything else looks at it.
 */

import {
  accountId,
  base64Text,
  digest,
  finite,
  fraction,
  jobId,
  parse,
  peerId,
  positive,
  shortText,
  v,
  whole,
} from '../core/schema.ts';
import { leasesPerMessageMax, unitsPerJobMax } from '../core/limits.ts';
import type { Result } from '../core/result.ts';
import { digestsPerMessageMax } from './artifact.ts';
import { servingReportSchema, servingSchemas, stageSchema } from './serving-messages.ts';

const unit = whole(0, unitsPerJobMax);
const attempt = whole(1, Number.MAX_SAFE_INTEGER);
const programName = v.picklist(['shader', 'train', 'generate', 'serve']);
const seconds = v.pipe(finite, v.minValue(0));
const hex32 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits'));

const digestsOfMessage = v.pipe(v.array(digest), v.maxLength(digestsPerMessageMax));

/** What fences a completion: this unit, lent to this peer, as this attempt. */
const leaseKey = { job: jobId, unit, attempt };
const leaseKeySchema = v.strictObject(leaseKey);
export type LeaseKey = v.InferOutput<typeof leaseKeySchema>;

export const roleSchema = v.picklist(['hub', 'volunteer', 'submitter']);
export type Role = v.InferOutput<typeof roleSchema>;

/** What a volunteer shows of its machine. */
export const deviceSchema = v.strictObject({
  /** Vendor, architecture and browser engine, e.g. `google swiftshader chromium`; what receipts name. */
  deviceClass: v.pipe(v.string(), v.maxLength(200)),
  fallback: v.boolean(),
  features: v.pipe(v.array(shortText), v.maxLength(64)),
  /** Largest storage binding and buffer in bytes. */
  bindingBytesMax: whole(0, Number.MAX_SAFE_INTEGER),
  bufferBytesMax: whole(0, Number.MAX_SAFE_INTEGER),
  /** What all buffers together may hold: the volunteer's setting, or a guess. */
  memoryBytesMax: v.optional(whole(0, Number.MAX_SAFE_INTEGER)),
  /** Bytes read and written a second by a kernel that only copies, as measured when the device was opened. */
  copyBytesPerSecond: v.optional(positive),
  /** Digest of what the probe kernels gave; float results are compared bit for bit only where it is equal. */
  numericClass: v.optional(hex32),
  /** Where the adapter ends every loop by itself after so many iterations, as some do; absent where it does not. */
  loopIterationsMax: v.optional(whole(1, Number.MAX_SAFE_INTEGER)),
});
export type DeviceDescription = v.InferOutput<typeof deviceSchema>;

/** What a lease of a training seat adds: which round and seat, from which parameters. */
export const seatSchema = v.strictObject({
  round: whole(0, 1_000_000),
  seat: whole(0, 255),
  /** The global parameters, f32, that this round starts from. */
  parameters: v.strictObject({ bytes: whole(0, 2 ** 40), chunks: v.array(digest) }),
  /** Inner steps to run; 0 only loads, evaluates and reports the digest of its parameters. */
  steps: whole(0, 100_000),
  /** The global number of the first inner step. */
  firstStep: whole(0, 10_000_000),
  /** True where this seat also measures the validation loss of the parameters it starts from. */
  evaluate: v.boolean(),
  /** True for a seat's new holder: the optimiser state starts at zero. */
  fresh: v.boolean(),
});
export type Seat = v.InferOutput<typeof seatSchema>;

export const leaseSchema = v.strictObject({
  ...leaseKey,
  /** Time from receipt until the lease ends. */
  seconds,
  program: programName,
  programVersion: whole(1, 1_000_000),
  submitter: accountId,
  /** The submitter's signature of the manifest, whose digest is the job's id. */
  signature: base64Text,
  seat: v.optional(seatSchema),
  stage: v.optional(stageSchema),
});
export type Lease = v.InferOutput<typeof leaseSchema>;

export const jobStates = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobPhase = (typeof jobStates)[number];

export const roundSchema = v.strictObject({
  round: whole(0, 1_000_000),
  rounds: whole(0, 1_000_000),
  contributors: whole(0, 256),
  trainLoss: v.nullable(finite),
  validationLoss: v.nullable(finite),
});
export type RoundReport = v.InferOutput<typeof roundSchema>;

/** One seat of a finished training: what it did and the digest of the parameters that it holds. */
export const workerReportSchema = v.strictObject({
  id: accountId,
  steps: whole(0, Number.MAX_SAFE_INTEGER),
  parametersSha256: v.nullable(digest),
});

export const trainReportSchema = v.strictObject({
  roundsCompleted: whole(0, 1_000_000),
  roundsSkipped: whole(0, 1_000_000),
  parameters: v.strictObject({ bytes: whole(0, 2 ** 40), chunks: v.array(digest) }),
  tokens: whole(0, Number.MAX_SAFE_INTEGER),
  trainLoss: v.nullable(finite),
  startValidationLoss: v.nullable(finite),
  validationLoss: v.nullable(finite),
  /** Payload and framing that seats sent and received, summed over workers, counted at the link. */
  bytesSent: whole(0, Number.MAX_SAFE_INTEGER),
  bytesReceived: whole(0, Number.MAX_SAFE_INTEGER),
  workers: v.array(workerReportSchema),
});
export type TrainReport = v.InferOutput<typeof trainReportSchema>;

const jobStateFields = {
  job: jobId,
  name: shortText,
  program: programName,
  state: v.picklist(jobStates),
  units: unit,
  accepted: unit,
  attempts: whole(0, Number.MAX_SAFE_INTEGER),
  disagreements: whole(0, Number.MAX_SAFE_INTEGER),
  /** Why it failed, or null. */
  reason: v.nullable(v.string()),
  /** Of a served model: pipelines that answer, requests that wait, samples under way. */
  serving: v.optional(servingReportSchema),
};

const schemas = {
  hello: v.strictObject({
    type: v.literal('hello'),
    protocol: whole(0, 1_000_000),
    jobFile: whole(0, 1_000_000),
    programs: whole(0, 1_000_000),
    role: roleSchema,
    /** Ed25519 public keys: the account's, and this tab's own, which the account signs (domain `session`). */
    account: accountId,
    session: hex32,
    sessionSignature: base64Text,
    /** Fresh for this link; the other side signs it. */
    nonce: hex32,
  }),
  /** The session key's signature (domain `prove`) of the other side's nonce, its session key and this link's binding (DTLS fingerprints). */
  prove: v.strictObject({ type: v.literal('prove'), signature: base64Text }),
  ping: v.strictObject({ type: v.literal('ping'), id: whole(0, Number.MAX_SAFE_INTEGER) }),
  pong: v.strictObject({ type: v.literal('pong'), id: whole(0, Number.MAX_SAFE_INTEGER) }),
  /** The other side did something that cannot be taken; one line says what and the mend. */
  refused: v.strictObject({ type: v.literal('refused'), what: shortText, reason: v.string() }),
  'chunk-get': v.strictObject({ type: v.literal('chunk-get'), digest }),
  chunk: v.strictObject({ type: v.literal('chunk'), digest }),
  'chunk-missing': v.strictObject({ type: v.literal('chunk-missing'), digest }),
  /** A volunteer has these chunks, checked, and passes them on; it no longer has those that are gone. */
  'chunks-held': v.strictObject({ type: v.literal('chunks-held'), digests: digestsOfMessage, gone: digestsOfMessage }),
  /** It wants these, and has found that some holders do not give what they say. The hub answers with `chunk-sources`. */
  'chunks-sought': v.strictObject({
    type: v.literal('chunks-sought'),
    digests: digestsOfMessage,
    shun: v.pipe(v.array(peerId), v.maxLength(64)),
  }),
  /** Who holds which of them, and which are to be taken from the hub; the rest is on its way to others. */
  'chunk-sources': v.strictObject({
    type: v.literal('chunk-sources'),
    sources: v.pipe(v.array(v.strictObject({ peer: peerId, digests: digestsOfMessage })), v.maxLength(600)),
    origin: digestsOfMessage,
  }),
  /** Of two volunteers that dialled each other, the one with the smaller id says so on the link that stays. */
  'peer-ready': v.strictObject({ type: v.literal('peer-ready') }),

  ready: v.strictObject({
    type: v.literal('ready'),
    device: deviceSchema,
    /** Units per second that this volunteer measured, by program; absent where it never ran one. */
    speeds: v.record(v.string(), finite),
  }),
  /** How many more leases this volunteer can take now; replaces the number it said before. */
  pull: v.strictObject({ type: v.literal('pull'), slots: whole(0, leasesPerMessageMax) }),
  progress: v.strictObject({
    type: v.literal('progress'),
    leases: v.pipe(v.array(v.strictObject({ ...leaseKey, done: fraction })), v.maxLength(leasesPerMessageMax)),
  }),
  result: v.strictObject({
    type: v.literal('result'),
    ...leaseKey,
    digest,
    seconds,
    /** The receipt's exact text and the account key's signature of it (domain `receipt`). */
    receipt: v.pipe(v.string(), v.maxLength(16_384)),
    signature: base64Text,
  }),
  failed: v.strictObject({ type: v.literal('failed'), ...leaseKey, reason: v.pipe(v.string(), v.maxLength(4000)) }),
  release: v.strictObject({
    type: v.literal('release'),
    leases: v.pipe(v.array(leaseKeySchema), v.maxLength(leasesPerMessageMax)),
    reason: v.picklist(['paused', 'closing', 'hidden', 'refused']),
  }),

  lease: v.strictObject({
    type: v.literal('lease'),
    leases: v.pipe(v.array(leaseSchema), v.minLength(1), v.maxLength(leasesPerMessageMax)),
  }),
  revoke: v.strictObject({
    type: v.literal('revoke'),
    leases: v.pipe(v.array(leaseKeySchema), v.minLength(1), v.maxLength(leasesPerMessageMax)),
  }),
  /** What became of a result: credited or not. */
  settled: v.strictObject({ type: v.literal('settled'), ...leaseKey, agreed: v.boolean(), credit: finite }),
  standing: v.strictObject({
    type: v.literal('standing'),
    agreed: whole(0, Number.MAX_SAFE_INTEGER),
    disagreed: whole(0, Number.MAX_SAFE_INTEGER),
    credit: finite,
    excluded: v.boolean(),
  }),

  /** Offers a manifest (its bytes are chunk `job`); the hub answers with chunks-wanted or job-state. */
  submit: v.strictObject({ type: v.literal('submit'), job: jobId, signature: base64Text }),
  'chunks-wanted': v.strictObject({
    type: v.literal('chunks-wanted'),
    job: jobId,
    digests: v.pipe(v.array(digest), v.minLength(1), v.maxLength(digestsPerMessageMax)),
  }),
  /** Follow a job; the units that the submitter already has, as runs [first, length]. */
  watch: v.strictObject({
    type: v.literal('watch'),
    job: jobId,
    have: v.pipe(v.array(v.strictTuple([unit, unit])), v.maxLength(2000)),
  }),
  cancel: v.strictObject({ type: v.literal('cancel'), job: jobId }),
  'list-jobs': v.strictObject({ type: v.literal('list-jobs') }),
  jobs: v.strictObject({
    type: v.literal('jobs'),
    jobs: v.pipe(v.array(v.strictObject(jobStateFields)), v.maxLength(100)),
  }),
  'job-state': v.strictObject({
    type: v.literal('job-state'),
    ...jobStateFields,
    /** The newest finished round of a training job. */
    round: v.optional(roundSchema),
    /** The whole report, once a training job is done. */
    report: v.optional(trainReportSchema),
  }),
  'unit-accepted': v.strictObject({
    type: v.literal('unit-accepted'),
    job: jobId,
    unit,
    digest,
    /** The accounts and device classes whose results agree with the accepted one. */
    by: v.array(v.strictObject({ account: accountId, peer: peerId, deviceClass: shortText, receipt: digest })),
  }),
  ...servingSchemas,
} as const;

type Schemas = typeof schemas;
export type MessageType = keyof Schemas;
export type MessageOf<Type extends MessageType> = v.InferOutput<Schemas[Type]>;
export type Message = { [Type in MessageType]: MessageOf<Type> }[MessageType];
export type JobState = MessageOf<'job-state'>;

/** A refusal in one line that fits a header, however much of the other side's words the reason quotes. */
export const refusal = (what: string, reason: string): MessageOf<'refused'> => ({
  type: 'refused',
  what: what.slice(0, 200),
  reason: shortReason(reason),
});
export const shortReason = (reason: string): string => reason.slice(0, 1000);

/** Messages whose bytes travel as one tail; all others have none. */
export const messagesWithTail: ReadonlySet<MessageType> = new Set(['result', 'chunk', 'unit-accepted', 'stage-rows']);
/** Messages that may be large go over the bulk lane, so that they never delay a lease. */
export const laneOf = (type: MessageType): 'control' | 'bulk' => (messagesWithTail.has(type) ? 'bulk' : 'control');

const messageSchema = v.variant('type', Object.values(schemas) as [Schemas[MessageType], ...Schemas[MessageType][]]);

/** A message from a frame's header, or the first wrong field. */
export const parseMessage = (header: unknown): Result<Message> =>
  parse(messageSchema, header, 'message') as Result<Message>;
