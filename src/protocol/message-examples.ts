/** One example of every message, for the tests that freeze the wire; a new message without one does not compile. */

import type { AccountId, Digest, JobId, PeerId } from '../core/ids.ts';
import type { MessageOf, MessageType } from './messages.ts';

const job = 'a1'.repeat(32) as JobId;
const digest = 'b2'.repeat(32) as Digest;
const account = 'c3'.repeat(32) as AccountId;
const peer = 'd4'.repeat(16) as PeerId;
const signature = `${'Zz09+/'.repeat(14)}Zg==`;
const lease = { job, unit: 7, attempt: 2 };
const jobState = {
  job,
  name: 'größer als 1',
  program: 'train',
  state: 'running',
  units: 12,
  accepted: 5,
  attempts: 11,
  disagreements: 1,
  reason: null,
} as const;

const sampling = {
  maxTokens: 16,
  temperature: 0.75,
  topP: 1,
  topK: 0,
  seed: 7,
  stopTokens: [2],
  topLogprobs: 1,
};

export const messageExamples: { readonly [Type in MessageType]: MessageOf<Type> } = {
  hello: {
    type: 'hello',
    protocol: 1,
    jobFile: 1,
    programs: 1,
    role: 'volunteer',
    account,
    session: 'e5'.repeat(32),
    sessionSignature: signature,
    nonce: 'f6'.repeat(32),
  },
  prove: { type: 'prove', signature },
  ping: { type: 'ping', id: 41 },
  pong: { type: 'pong', id: 41 },
  refused: { type: 'refused', what: 'submit', reason: 'manifest: units: missing field' },
  'chunk-get': { type: 'chunk-get', digest },
  chunk: { type: 'chunk', digest },
  'chunk-missing': { type: 'chunk-missing', digest },
  'chunks-held': { type: 'chunks-held', digests: [digest], gone: [digest] },
  'chunks-sought': { type: 'chunks-sought', digests: [digest], shun: [peer] },
  'chunk-sources': { type: 'chunk-sources', sources: [{ peer, digests: [digest] }], origin: [digest] },
  'peer-ready': { type: 'peer-ready' },
  ready: {
    type: 'ready',
    device: {
      deviceClass: 'google swiftshader chromium',
      fallback: true,
      features: ['subgroups'],
      bindingBytesMax: 134217728,
      bufferBytesMax: 268435456,
    },
    speeds: { shader: 1.5 },
  },
  pull: { type: 'pull', slots: 4 },
  progress: { type: 'progress', leases: [{ ...lease, done: 0.25 }] },
  result: { type: 'result', ...lease, digest, seconds: 0.5, receipt: '{"unit":7}', signature },
  failed: { type: 'failed', ...lease, reason: 'shader.wgsl:3:1: expected ;' },
  release: { type: 'release', leases: [lease], reason: 'paused' },
  lease: {
    type: 'lease',
    leases: [
      { ...lease, seconds: 30, program: 'shader', programVersion: 1, submitter: account, signature },
      {
        ...lease,
        seconds: 60,
        program: 'train',
        programVersion: 1,
        submitter: account,
        signature,
        seat: {
          round: 3,
          seat: 1,
          parameters: { bytes: 2097152, chunks: [digest, digest] },
          steps: 50,
          firstStep: 150,
          evaluate: true,
          fresh: false,
        },
      },
    ],
  },
  revoke: { type: 'revoke', leases: [lease] },
  settled: { type: 'settled', ...lease, agreed: true, credit: 1 },
  standing: { type: 'standing', agreed: 12, disagreed: 0, credit: 12.5, excluded: false },
  submit: { type: 'submit', job, signature },
  'chunks-wanted': { type: 'chunks-wanted', job, digests: [digest] },
  watch: { type: 'watch', job, have: [[0, 5]] },
  cancel: { type: 'cancel', job },
  'list-jobs': { type: 'list-jobs' },
  jobs: { type: 'jobs', jobs: [jobState] },
  'job-state': {
    type: 'job-state',
    ...jobState,
    round: { round: 2, rounds: 12, contributors: 4, trainLoss: 3.25, validationLoss: null },
    report: {
      roundsCompleted: 12,
      roundsSkipped: 0,
      parameters: { bytes: 1048577, chunks: [digest, digest] },
      tokens: 4096,
      trainLoss: 2.5,
      startValidationLoss: 5.5,
      validationLoss: 2.625,
      bytesSent: 1000,
      bytesReceived: 2000,
      workers: [{ id: account, steps: 600, parametersSha256: digest }],
    },
  },
  'unit-accepted': {
    type: 'unit-accepted',
    job,
    unit: 7,
    digest,
    by: [{ account, peer, deviceClass: 'google swiftshader chromium', receipt: digest }],
  },
  'stage-ready': { type: 'stage-ready', ...lease, bytes: 1_048_576 },
  'stage-wire': { type: 'stage-wire', ...lease, previous: peer, next: peer },
  'stage-open': {
    type: 'stage-open',
    ...lease,
    prompt: 4,
    promptTokens: [1, 403, 407],
    count: 1,
    samples: [{ stream: 5, sample: 0, tokens: [261] }],
    sampling,
  },
  'stage-close': { type: 'stage-close', ...lease, streams: [4, 5] },
  'stage-tokens': {
    type: 'stage-tokens',
    ...lease,
    to: peer,
    tokens: [{ stream: 5, position: 4, token: 261, logprob: -0.5, top: [[261, -0.5]] }],
  },
  'stage-rows': {
    type: 'stage-rows',
    job,
    from: peer,
    rows: [
      [4, 0],
      [4, 1],
    ],
  },
  'stage-want': { type: 'stage-want', job, wants: [[5, 4]] },
  ask: { type: 'ask', id: '0a'.repeat(16), job, promptTokens: [1, 403, 407], firstSample: 0, samples: 2, ...sampling },
  'ask-stop': { type: 'ask-stop', id: '0a'.repeat(16), samples: [1] },
  answer: {
    type: 'answer',
    id: '0a'.repeat(16),
    tokens: [{ sample: 0, token: 261, logprob: -0.5, top: [] }],
    finished: [{ sample: 1, reason: 'stop' }],
  },
  answered: {
    type: 'answered',
    id: '0a'.repeat(16),
    by: [
      {
        pipeline: 0,
        stage: 1,
        firstLayer: 3,
        layers: 2,
        account,
        peer,
        deviceClass: 'google swiftshader chromium',
      },
    ],
  },
  'ask-refused': {
    type: 'ask-refused',
    id: '0a'.repeat(16),
    kind: 'busy',
    reason: '128 requests wait already',
    retrySeconds: 5,
  },
};
