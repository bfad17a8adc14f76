/**
 * The hub as aggregator of training jobs: makes the first parameters, reads contributions, applies the outer step and
 * stores the resulting bits, which all seats then load, so that everyone is bit-equal. The outer optimiser's state is
 * kept in a stream of its own, a fact per round, so that a restarted hub goes on exactly where it was.
 */

import type { Json } from '../core/json.ts';
import type { JobId, PeerId } from '../core/ids.ts';
import { assert, present } from '../core/assert.ts';
import { v, parse } from '../core/schema.ts';
import { copyBytes, viewBytes } from '../core/bytes.ts';
import { artifactSchema, type Artifact } from '../protocol/artifact.ts';
import type { Manifest, TrainPlan } from '../protocol/manifest.ts';
import type { ChunkStore, DigestBytes, Store } from '../protocol/ports.ts';
import type { HubEffect, HubInput } from '../swarm/step.ts';
import { aggregate } from '../learning/aggregate.ts';
import { checkReport, decodeContribution } from '../learning/contribution.ts';
import { initialParameters } from '../models/llama-parameters.ts';
import { loadArtifact, storeArtifact } from './artifact-bytes.ts';

export interface TrainingDeskOptions {
  readonly store: Store;
  readonly chunks: ChunkStore;
  readonly digestOf: DigestBytes;
  readonly manifestOf: (job: JobId) => Promise<Manifest>;
}

type Aggregate = Extract<HubEffect, { type: 'aggregate' }>;
type Inspect = Extract<HubEffect, { type: 'inspect' }>;
type Counted = { readonly sent: number; readonly received: number };

export interface TrainingDesk {
  /** A seat is lent over a link with these counters: what it carried for other work before is not the training's. */
  lent(job: JobId, to: PeerId, counted: Counted): void;
  initialise(job: JobId): Promise<HubInput>;
  aggregate(effect: Aggregate): Promise<HubInput>;
  /** `counted` are the counters of the hub's link to the volunteer that delivered; undefined when it is gone. */
  inspect(effect: Inspect, counted: Counted | undefined): Promise<HubInput>;
}

/** The outer state after a round, as it stands in the log. */
const outerFactSchema = v.strictObject({
  round: v.number(),
  seat: v.nullable(v.number()),
  state: artifactSchema,
});

export function createTrainingDesk(options: TrainingDeskOptions): TrainingDesk {
  const { chunks, digestOf, store } = options;
  const traffic = createTraffic();
  const epochs = new Map<string, number>();

  const planOf = async (job: JobId): Promise<TrainPlan> => {
    const manifest = await options.manifestOf(job);
    assert(manifest.program === 'train', 'only training jobs come to the training desk');
    return manifest.train;
  };

  const attempted = async (job: JobId, act: () => Promise<HubInput>): Promise<HubInput> => {
    try {
      return await act();
    } catch (error) {
      return { type: 'job-problem', job, reason: error instanceof Error ? error.message : String(error) };
    }
  };

  const outerStateBefore = async (effect: Aggregate): Promise<Uint8Array> => {
    const { facts } = await store.load(outerStream(effect.job));
    const parsed = facts.map((fact) => parse(outerFactSchema, fact, 'outer state'));
    const before = parsed
      .flatMap((one) => (one.ok ? [one.value] : []))
      .findLast((one) => one.round < effect.round && one.seat === effect.seat);
    return before === undefined ? new Uint8Array(0) : loadArtifact(before.state, chunks);
  };

  const keepOuterState = async (effect: Aggregate, state: Artifact): Promise<void> => {
    const stream = outerStream(effect.job);
    if (!epochs.has(stream)) epochs.set(stream, await store.claim(stream));
    const fact: Json = {
      round: effect.round,
      seat: effect.seat,
      state: { bytes: state.bytes, chunks: [...state.chunks] },
    };
    await store.append([{ stream, epoch: present(epochs.get(stream), 'a claimed stream'), fact }]);
  };

  return {
    lent: traffic.lent,
    initialise: (job) =>
      attempted(job, async () => {
        const plan = await planOf(job);
        const parameters = await storeArtifact(viewBytes(initialParameters(plan.model, plan.seed)), chunks, digestOf);
        return { type: 'initialised', job, parameters };
      }),
    aggregate: (effect) =>
      attempted(effect.job, async () => {
        const plan = await planOf(effect.job);
        const before = await loadArtifact(effect.parameters, chunks);
        const contributions = [];
        for (const { seat, result } of effect.contributions) {
          const bytes = present(await chunks.get(result), `the contribution of seat ${seat} is missing from the store`);
          const decoded = decodeContribution(plan, bytes);
          if (!decoded.ok) throw new Error(`seat ${seat}: ${decoded.error.text}`);
          contributions.push(decoded.value);
        }
        const after = aggregate(plan, floats(before), await outerStateBefore(effect), contributions);
        await keepOuterState(effect, await storeArtifact(after.outerState, chunks, digestOf));
        const parameters = await storeArtifact(viewBytes(after.parameters), chunks, digestOf);
        return { type: 'aggregated', job: effect.job, round: effect.round, seat: effect.seat, parameters };
      }),
    inspect: async (effect, counted) => {
      const head = { type: 'inspected' as const, job: effect.job, unit: effect.unit, attempt: effect.attempt };
      const bytes = await chunks.get(effect.digest);
      if (bytes === undefined) return { ...head, problem: 'its bytes are missing from the store' };
      const plan = await planOf(effect.job);
      const decoded = decodeContribution(plan, bytes);
      if (!decoded.ok) return { ...head, problem: decoded.error.text };
      const started = await digestOf(await loadArtifact(effect.seat.parameters, chunks));
      const checked = checkReport(decoded.value.report, plan, effect.seat, started);
      if (!checked.ok) return { ...head, problem: checked.error.text };
      const { trainLoss, validationLoss, steps, tokens, parametersSha256 } = checked.value;
      const used = counted === undefined ? nothing : traffic.since(effect.job, effect.from, counted);
      // The hub's end of the link counts the other way round.
      return {
        ...head,
        report: {
          trainLoss,
          validationLoss,
          steps,
          tokens,
          parametersSha256,
          bytesSent: used.received,
          bytesReceived: used.sent,
        },
      };
    },
  };
}

const nothing: Counted = { sent: 0, received: 0 };

/** What each volunteer's link has carried for the training that it sits in. */
function createTraffic() {
  const marks = new Map<PeerId, { readonly job: JobId; readonly counted: Counted }>();
  return {
    lent: (job: JobId, to: PeerId, { sent, received }: Counted): void => {
      if (marks.get(to)?.job !== job) marks.set(to, { job, counted: { sent, received } });
    },
    since: (job: JobId, from: PeerId, { sent, received }: Counted): Counted => {
      const mark = marks.get(from);
      // Without a lease of this process the seat was lent by the one before it, and its link is all training.
      const last = mark?.job === job ? mark.counted : nothing;
      marks.set(from, { job, counted: { sent, received } });
      // A peer that connected again starts counting from zero.
      if (sent < last.sent || received < last.received) return { sent, received };
      return { sent: sent - last.sent, received: received - last.received };
    },
  };
}

const streamPrefix = 'outer-';
const outerStream = (job: JobId): string => `${streamPrefix}${job}`;
/** Streams of this desk, which the hub's machine does not read. */
export const isTrainingStream = (stream: string): boolean => stream.startsWith(streamPrefix);

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(copyBytes(bytes).buffer);
