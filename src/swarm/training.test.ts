import { describe, expect, it } from 'vitest';
import type { Lease } from '../protocol/messages.ts';
import { sampleTraining } from './sample-manifests.ts';
import type { SeatReport } from './step.ts';
import { accountNamed, digestNamed, jobOne, submitterAccount, TestHub } from './test-hub.ts';

const training = (workers: number, rounds: number, method: 'diloco' | 'solo' = 'diloco') =>
  sampleTraining({ workers, rounds, method }, 10, submitterAccount);
const parametersNamed = (name: string) => ({ bytes: 4, chunks: [digestNamed(name)] });
const report = (loss: number, sha = 'f0'): SeatReport => ({
  trainLoss: loss,
  validationLoss: loss + 1,
  steps: 10,
  tokens: 100,
  parametersSha256: digestNamed(sha),
  bytesSent: 5,
  bytesReceived: 7,
});

/** Plays volunteers that finish whatever they are lent, until nothing is lent any more; returns the leases. */
function play(hub: TestHub, names: readonly string[], turns = 100): Lease[] {
  const leases: Lease[] = [];
  for (let turn = 0; turn < turns; turn++) {
    for (const name of names) {
      for (const lease of hub.leases(name)) {
        leases.push(lease);
        hub.finish(name, lease, `f${lease.unit}`).pull(name, 1);
      }
    }
    answer(hub);
    hub.pass(1);
  }
  return leases;
}

function answer(hub: TestHub): void {
  for (const { job, unit, attempt } of hub.taken('inspect')) {
    hub.input({ type: 'inspected', job, unit, attempt, report: report(1 / (1 + unit)) });
  }
  for (const { job, round, seat } of hub.taken('aggregate')) {
    hub.input({ type: 'aggregated', job, round, seat, parameters: parametersNamed(`a${round}${seat ?? ''}`) });
  }
}

const start = (workers: number, rounds: number, names: readonly string[], method: 'diloco' | 'solo' = 'diloco') => {
  const hub = new TestHub().submit(training(workers, rounds, method));
  hub.input({ type: 'initialised', job: jobOne, parameters: parametersNamed('a') });
  for (const name of names) hub.join(name);
  return hub;
};

describe('a training job', () => {
  it('makes its first parameters, trains its rounds with the same volunteers in their seats, and reports', () => {
    const hub = new TestHub().submit(training(2, 3));
    expect(hub.taken('initialise')).toHaveLength(1);
    hub
      .input({ type: 'initialised', job: jobOne, parameters: parametersNamed('a') })
      .join('a1')
      .join('a2');
    const leases = play(hub, ['a1', 'a2']);
    expect(
      leases.map(({ unit, seat }) => [unit, seat?.round, seat?.seat, seat?.steps, seat?.firstStep, seat?.fresh]),
    ).toEqual([
      [0, 0, 0, 10, 0, true],
      [1, 0, 1, 10, 0, true],
      [2, 1, 0, 10, 10, false],
      [3, 1, 1, 10, 10, false],
      [4, 2, 0, 10, 20, false],
      [5, 2, 1, 10, 20, false],
      [6, 3, 0, 0, 30, false],
      [7, 3, 1, 0, 30, false],
    ]);
    expect(leases.map(({ seat }) => seat?.parameters.chunks[0])).toEqual(
      ['a', 'a', 'a0', 'a0', 'a1', 'a1', 'a2', 'a2'].map((name) => digestNamed(name)),
    );
    expect(leases.filter(({ seat }) => seat?.evaluate).map(({ seat }) => seat?.seat)).toEqual([0, 0, 0, 0]);
    expect(hub.state()).toMatchObject({ state: 'done', accepted: 8 });
    expect(hub.state()?.report).toMatchObject({
      roundsCompleted: 3,
      roundsSkipped: 0,
      tokens: 800,
      bytesSent: 40,
      bytesReceived: 56,
      startValidationLoss: 2,
      workers: [
        { id: accountNamed('a1'), steps: 40, parametersSha256: digestNamed('f0') },
        { id: accountNamed('a2'), steps: 40, parametersSha256: digestNamed('f0') },
      ],
    });
    expect(hub.facts('credited', 'pool')).toHaveLength(8);
    expect(hub.sent('5ub', 'job-state').at(-1)).toMatchObject({ state: 'done', round: { round: 3, rounds: 3 } });
  });

  it('tells its submitter of every round as it closes, and one who comes back of those that closed meanwhile', () => {
    const roundsTold = () => hub.sent('5ub', 'job-state').flatMap(({ round }) => (round === undefined ? [] : [round]));
    const hub = start(2, 5, ['a1', 'a2']);
    // No second passes, so whatever waits for the next tick is not told.
    const playOne = () => {
      for (const name of ['a1', 'a2'])
        for (const lease of hub.leases(name)) hub.finish(name, lease, `f${lease.unit}`).pull(name, 1);
      answer(hub);
    };
    playOne();
    playOne();
    expect([...new Set(roundsTold().map(({ round }) => round))]).toEqual([0, 1]);
    hub.lose('5ub');
    playOne();
    playOne();
    hub.restart().join('a1').join('a2');
    expect(roundsTold()).toEqual([]);
    hub.connect('5ub', { role: 'submitter' }).say('5ub', { type: 'watch', job: jobOne, have: [] });
    const told = roundsTold();
    expect(told.map(({ round }) => round)).toEqual([0, 1, 2, 3]);
    // Each with its own losses, and not the newest's: seat 0 of round r is unit 2r.
    expect(told.map(({ validationLoss }) => validationLoss)).toEqual([0, 2, 4, 6].map((unit) => 1 / (1 + unit) + 1));
    play(hub, ['a1', 'a2'], 10);
    expect(hub.state()?.state).toBe('done');
    hub.connect('5ub', { role: 'submitter' }).say('5ub', { type: 'watch', job: jobOne, have: [] });
    const states = hub.sent('5ub', 'job-state').slice(-6);
    expect(states.map(({ state, round }) => [state, round?.round])).toEqual([
      ...[0, 1, 2, 3, 4].map((round) => ['running', round]),
      ['done', 5],
    ]);
  });

  it('waits for enough volunteers, yet only a few seconds', () => {
    const hub = start(3, 1, ['a1']);
    hub.pass(2);
    expect(hub.leases('a1')).toEqual([]);
    hub.pass(2);
    expect(hub.leases('a1')).toHaveLength(1);
    expect(start(2, 1, ['a1', 'a2']).leases('a1')).toHaveLength(1);
  });

  it('never gives two seats to one account', () => {
    const hub = start(2, 1, []);
    hub.join('a1').join('a2', { account: 'a1' }).pass(5);
    expect([...hub.leases('a1'), ...hub.leases('a2')]).toHaveLength(1);
  });

  it('goes on without a seat whose tab closed, dividing by those who contributed', () => {
    const hub = start(2, 2, ['a1', 'a2']);
    const [lease] = hub.leases('a1');
    if (lease === undefined) throw new Error('expected a lease');
    hub.finish('a1', lease, 'f0');
    const [inspect] = hub.taken('inspect');
    expect(inspect).toMatchObject({ unit: 0, digest: digestNamed('f0') });
    hub.input({ type: 'inspected', job: jobOne, unit: 0, attempt: 1, report: report(1) });
    expect(hub.taken('aggregate')).toEqual([]);
    hub.lose('a2').pass(2);
    expect(hub.taken('aggregate')).toEqual([]);
    hub.pass(2);
    expect(hub.taken('aggregate')).toMatchObject([
      { round: 0, contributions: [{ seat: 0, result: digestNamed('f0') }] },
    ]);
  });

  it('offers an empty seat to whoever waits, as a fresh one, within the same round', () => {
    const hub = start(2, 2, ['a1', 'a2']);
    hub.join('a3').pass(1);
    expect(hub.leases('a3')).toEqual([]);
    hub.lose('a2').pass(1);
    expect(hub.leases('a3')).toMatchObject([{ unit: 1, attempt: 2, seat: { round: 0, seat: 1, fresh: true } }]);
  });

  it('does not hold a round longer than its deadline for a seat that hangs', () => {
    const hub = start(2, 2, ['a1', 'a2']);
    const lease = hub.leases('a1')[0];
    if (lease === undefined) throw new Error('expected a lease');
    hub.pass(1).finish('a1', lease, 'f0');
    hub.input({ type: 'inspected', job: jobOne, unit: 0, attempt: 1, report: report(1) });
    let seconds = 0;
    while (hub.taken('aggregate').length === 0 && seconds < 100) {
      hub.pass(1);
      seconds++;
    }
    // The hanging seat's own estimate is the manifest's 10 s; then the half that is done decides.
    expect(seconds).toBeGreaterThan(5);
    expect(seconds).toBeLessThan(15);
  });

  it('takes no contribution that cannot be read, and gives the seat to another', () => {
    const hub = start(1, 1, ['a1']);
    const lease = hub.leases('a1')[0];
    if (lease === undefined) throw new Error('expected a lease');
    hub.finish('a1', lease, 'dead');
    hub.input({ type: 'inspected', job: jobOne, unit: 0, attempt: 1, problem: 'no report' });
    expect(hub.sent('a1', 'settled')).toMatchObject([{ agreed: false, credit: 0 }]);
    expect(hub.facts('credited', 'pool')).toEqual([]);
    expect(hub.join('a2').pass(1).leases('a2')).toMatchObject([{ unit: 0, attempt: 2 }]);
  });

  it('ends only with seat 0 evaluated, by whoever is left', () => {
    const hub = start(2, 1, ['a1', 'a2']);
    for (let turn = 0; turn < 20 && hub.state()?.round?.round !== 0; turn++) play(hub, ['a1', 'a2'], 1);
    const last = hub.leases('a2')[0];
    if (last === undefined) throw new Error('expected a lease of the last round');
    hub.lose('a1').finish('a2', last, 'f3').pull('a2', 1);
    answer(hub);
    hub.pass(2);
    expect(hub.state()?.state).toBe('running');
    play(hub, ['a2'], 5);
    expect(hub.state()).toMatchObject({ state: 'done', report: { validationLoss: expect.any(Number) as number } });
  });

  it('keeps every seat to itself with method solo', () => {
    const hub = start(2, 2, ['a1', 'a2'], 'solo');
    const leases = play(hub, ['a1', 'a2']);
    expect(leases.map(({ seat }) => [seat?.round, seat?.seat, seat?.parameters.chunks[0]?.slice(0, 3)])).toEqual([
      [0, 0, 'a00'],
      [0, 1, 'a00'],
      [1, 0, 'a00'],
      [1, 1, 'a01'],
      [2, 0, 'a10'],
      [2, 1, 'a11'],
    ]);
    expect(hub.state()?.state).toBe('done');
  });

  it('survives the hub in every stage of a round', () => {
    const hub = new TestHub().submit(training(2, 1)).restart();
    expect(hub.taken('initialise')).toHaveLength(1);
    hub
      .input({ type: 'initialised', job: jobOne, parameters: parametersNamed('a') })
      .join('a1')
      .join('a2');
    const [one] = hub.leases('a1');
    const [two] = hub.leases('a2');
    if (one === undefined || two === undefined) throw new Error('expected two leases');
    hub.finish('a1', one, 'f0').restart();
    expect(hub.taken('inspect')).toMatchObject([{ unit: 0 }]);
    hub.input({ type: 'inspected', job: jobOne, unit: 0, attempt: 1, report: report(1) });
    // The other volunteer delivers what it was lent before the crash.
    hub.connect('a2').finish('a2', two, 'f1');
    hub.input({ type: 'inspected', job: jobOne, unit: 1, attempt: 1, report: report(1) });
    expect(hub.facts('round-closed')).toHaveLength(1);
    hub.restart(true);
    expect(hub.taken('aggregate')).toMatchObject([{ round: 0, contributions: [{ seat: 0 }, { seat: 1 }] }]);
    hub.input({ type: 'aggregated', job: jobOne, round: 0, seat: null, parameters: parametersNamed('a0') });
    hub.join('a1').join('a2');
    play(hub, ['a1', 'a2'], 10);
    expect(hub.state()?.state).toBe('done');
    expect(hub.facts('credited', 'pool')).toHaveLength(4);
  });

  it('refuses a manifest whose units do not follow from its rounds', () => {
    const hub = new TestHub().submit({ ...training(2, 3), units: 5 });
    expect(hub.sent('5ub', 'refused').map(({ reason }) => reason)).toEqual([
      'manifest: a training of these rounds and workers has 8 units, not 5',
    ]);
  });
});
