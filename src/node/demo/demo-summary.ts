/** The demo's verdict, `demo-out/summary.json`: what was done, and whether all of it is as it should be. */

import type { JobState } from '../../protocol/messages.ts';
import type { AccountView, HubView } from '../../swarm/hub.ts';
import type { GenerateSummary } from '../generate-run.ts';
import type { TrainSummary } from '../train-run.ts';

export interface ShaderOutcome {
  readonly state: JobState;
  readonly image: string;
  /** What differs from the CPU truth, if anything does. */
  readonly wrong: string | undefined;
}

export interface DemoOutcome {
  readonly seconds: number;
  readonly tabs: number;
  readonly hub: HubView;
  readonly shader: ShaderOutcome;
  readonly train: TrainSummary;
  readonly generate: GenerateSummary;
}

/** Validation loss must fall by at least this fraction. */
const lossFallMin = 0.15;

export function demoSummary({ seconds, tabs, hub, shader, train, generate }: DemoOutcome) {
  const liarExcluded = hub.accounts.some((account) => account.excluded);
  const problems = [
    shader.wrong,
    shader.state.state === 'done' && shader.state.accepted === shader.state.units
      ? undefined
      : `shader job ${shader.state.state}`,
    shader.state.disagreements > 0 ? undefined : 'no disagreement was seen, although one tab lies',
    liarExcluded ? undefined : 'the liar was not excluded',
    ...trainProblems(train),
    distinct(generate) === generate.samples.length ? undefined : 'two samples are equal',
  ].filter((problem) => problem !== undefined);
  return {
    ok: problems.length === 0,
    problems,
    seconds,
    tabs,
    adapter: adapterOf(hub),
    shader: {
      units: shader.state.units,
      accepted: shader.state.accepted,
      attempts: shader.state.attempts,
      disagreements: shader.state.disagreements,
      liarExcluded,
      image: shader.image,
    },
    train,
    generate,
    ledger: hub.accounts.map(({ account, units, credit }: AccountView) => ({ account, units, credit })),
  };
}

export type DemoSummary = ReturnType<typeof demoSummary>;

function trainProblems(train: TrainSummary): (string | undefined)[] {
  const { startValidationLoss: start, validationLoss: end } = train;
  const hashes = new Set(train.workers.map((worker) => worker.parametersSha256));
  return [
    train.state === 'done' ? undefined : `training ${train.state}: ${train.reason ?? ''}`,
    start !== null && end !== null && end <= start * (1 - lossFallMin)
      ? undefined
      : `validation loss went from ${start} to ${end}, not down by ${lossFallMin * 100} %`,
    hashes.size === 1 && !hashes.has(null) ? undefined : 'the workers do not hold the same parameters',
  ];
}

const distinct = (generate: GenerateSummary): number => new Set(generate.samples.map((sample) => sample.text)).size;

/** The device class reads `vendor architecture engine`. */
function adapterOf(hub: HubView): { vendor: string; architecture: string; fallback: boolean } {
  const device = hub.volunteers.find((volunteer) => volunteer.device !== undefined)?.device;
  const [vendor = 'unknown', architecture = 'unknown'] = device?.deviceClass.split(' ') ?? [];
  return { vendor, architecture, fallback: device?.fallback ?? false };
}
