import { describe, expect, it } from 'vitest';
import type { FactRecord } from '../swarm/step.ts';
import { scenarios, type Scenario } from './scenarios.ts';
import { simCommand } from './sim-command.ts';
import { simulate } from './simulate.ts';

const scenarioNamed = (name: string): Scenario => {
  const scenario = scenarios.get(name);
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  return scenario;
};
const replay = (seed: number): string => `replay: npx tabswarm sim --scenario chaos --seed ${seed}`;

describe('chaos', () => {
  const chaos = scenarioNamed('chaos');

  it('holds every invariant and finishes both jobs on 64 seeds', { timeout: 120_000 }, () => {
    for (let seed = 1; seed <= 64; seed++) {
      const report = simulate({ scenario: chaos, seed });
      expect(report.invariants, replay(seed)).toBe('held');
      expect(report.wrongAccepted, replay(seed)).toBe(0);
    }
  });

  it('holds them on a seed that nobody has seen', { timeout: 60_000 }, () => {
    const seed = Date.now() % 1_000_000_000;
    console.info(replay(seed));
    expect(simulate({ scenario: chaos, seed }).invariants, replay(seed)).toBe('held');
  });

  it('is the same run, event by event, for the same seed, and another for another', () => {
    const one = simulate({ scenario: chaos, seed: 5 });
    expect(simulate({ scenario: chaos, seed: 5 })).toEqual(one);
    expect(simulate({ scenario: chaos, seed: 6 }).events).not.toBe(one.events);
  });

  it('really contains what it speaks of', () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) {
      simulate({
        scenario: chaos,
        seed,
        tamper: (record) => {
          const fact = record.fact as { type: string; why?: string; dishonest?: readonly number[] };
          seen.add(fact.why ?? fact.type);
          if ((fact.dishonest?.length ?? 0) > 0) seen.add('lie found');
          return record;
        },
      });
    }
    const expected = [
      'lost',
      'released',
      'failed',
      'expired',
      'revoked',
      'resumed',
      'restarted',
      'dropped',
      'lie found',
    ];
    expect(expected.filter((what) => !seen.has(what))).toEqual([]);
  });
});

describe('the other scenarios', () => {
  const small: Record<string, Partial<Scenario>> = {
    liars: { volunteers: 30, units: 200 },
    churn: { volunteers: 40, units: 400 },
    crashes: { volunteers: 40, units: 400 },
    training: {},
    solo: {},
  };
  for (const [name, changes] of Object.entries(small)) {
    it(`${name}: ${scenarioNamed(name).story}`, { timeout: 60_000 }, () => {
      const report = simulate({ scenario: { ...scenarioNamed(name), ...changes }, seed: 11 });
      expect(report.invariants).toBe('held');
    });
  }

  it('steady comes near to the best possible time', { timeout: 60_000 }, () => {
    const report = simulate({ scenario: { ...scenarioNamed('steady'), volunteers: 200, units: 4000 }, seed: 7 });
    expect(report.invariants).toBe('held');
    expect(report.makespanOverBound).toBeGreaterThanOrEqual(1);
    expect(report.makespanOverBound).toBeLessThanOrEqual(1.25);
    expect(report.replicationOverhead).toBeLessThan(2.1);
  });
});

describe('the checkers fire', () => {
  const steady = { ...scenarioNamed('steady'), volunteers: 10, units: 30, unitSeconds: 5 };
  const tamperOnce = (type: string, change: (fact: Record<string, unknown>) => Record<string, unknown>) => {
    let done = false;
    return (record: FactRecord): FactRecord => {
      const fact = record.fact as Record<string, unknown>;
      if (done || fact['type'] !== type) return record;
      done = true;
      return { ...record, fact: change(fact) as FactRecord['fact'] };
    };
  };

  it('on a unit accepted by one opinion where two are needed', () => {
    const tamper = tamperOnce('accepted', (fact) => ({ ...fact, honest: [fact['attempt']] }));
    expect(simulate({ scenario: steady, seed: 1, tamper }).invariants).toMatch(/1 agreeing results, 2 are needed/);
  });

  it('on a result of the other quorum member that was never leased', () => {
    const tamper = tamperOnce('accepted', (fact) => ({ ...fact, honest: [fact['attempt'], 9] }));
    expect(() => simulate({ scenario: steady, seed: 1, tamper })).toThrow(/no attempt 9/);
  });

  it('on credit that nobody earned', () => {
    const tamper = tamperOnce('credited', (fact) => ({
      ...fact,
      entry: { ...(fact['entry'] as object), credit: 100 },
    }));
    expect(simulate({ scenario: steady, seed: 1, tamper }).invariants).toMatch(
      /not the manifest's price|another state/,
    );
  });

  it('on a fact that the log lacks: replay gives another state', () => {
    const tamper = tamperOnce('judged', (fact) => ({ ...fact, agreed: [] }));
    expect(simulate({ scenario: steady, seed: 1, tamper }).invariants).toMatch(/replaying stream pool/);
  });

  it('on an accepted lie', () => {
    // Where one opinion is enough a lie gets through, and is counted; where two are needed it does not.
    const liars = { ...steady, replicas: 1, liars: 3 };
    expect(simulate({ scenario: liars, seed: 1 }).wrongAccepted).toBeGreaterThan(0);
    const honest = simulate({ scenario: { ...steady, liars: 3 }, seed: 1 });
    expect(honest).toMatchObject({ invariants: 'held', wrongAccepted: 0 });
  });

  it('on a job that cannot finish', () => {
    const stuck = { ...steady, volunteers: 2, twins: 2, endSeconds: 100 };
    expect(simulate({ scenario: stuck, seed: 1 }).invariants).toMatch(/did not finish within 100 s.*seed 1/);
  });
});

describe('the command', () => {
  it('gives the report of the job format', () => {
    let milliseconds = 0;
    const result = simCommand({ volunteers: 20, units: 50, seed: 7 }, () => (milliseconds += 500));
    expect(result).toMatchObject({
      ok: true,
      value: {
        seed: 7,
        volunteers: 20,
        units: 50,
        accepted: 50,
        wrongAccepted: 0,
        wallSeconds: 0.5,
        invariants: 'held',
      },
    });
    if (!result.ok) return;
    const { replicationOverhead, makespanOverBound, utilisation, virtualSeconds, eventsPerSecond } = result.value;
    for (const value of [replicationOverhead, makespanOverBound, utilisation, virtualSeconds, eventsPerSecond]) {
      expect(value).toBeGreaterThan(0);
    }
  });

  it('names what is wrong with its options', () => {
    const texts = [{ scenario: 'storm' }, { volunteers: 0 }, { units: 1.5 }, { seed: -1 }, { volunteers: 1 }].map(
      (options) => {
        const result = simCommand(options, () => 0);
        return result.ok ? 'taken' : result.error.text;
      },
    );
    expect(texts).toEqual([
      expect.stringMatching(/^sim: no scenario "storm"; there are steady, chaos/),
      'sim: --volunteers must be 1 to 100000',
      'sim: --units must be 1 to 1000000',
      'sim: --seed must be a whole number from 0',
      'sim: 2 agreeing results need as many volunteers, not 1',
    ]);
  });
});
