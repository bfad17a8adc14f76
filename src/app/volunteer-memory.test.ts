/** The page's memory: jobs, bars and the unit that just ended. */

import { describe, expect, test } from 'vitest';
import { stoppedView, type CurrentUnit, type VolunteerView } from '../assembly/volunteer-view.ts';
import { barCount, barMs, createVolunteerMemory } from './volunteer-memory.ts';

const running = (change: Partial<VolunteerView>): VolunteerView => ({
  ...stoppedView('hub'),
  phase: 'running',
  ...change,
});
const unitOf = (job: string, unit: number, done = 0): CurrentUnit => ({
  job,
  jobName: `job ${job}`,
  program: 'shader',
  submitter: 'somebody',
  unit,
  done,
});

describe('the memory of a volunteer’s page', () => {
  test('counts each unit once, however often its progress is shown, and names the newest job first', () => {
    const memory = createVolunteerMemory();
    for (const current of [unitOf('a', 1), unitOf('a', 1, 0.5), unitOf('a', 2), unitOf('b', 1)]) {
      memory.remember(running({ current }), 0);
    }
    expect(memory.worked().map(({ job, units }) => [job, units])).toEqual([
      ['b', 1],
      ['a', 2],
    ]);
  });

  test('keeps the five newest jobs', () => {
    const memory = createVolunteerMemory();
    for (const job of ['a', 'b', 'c', 'd', 'a', 'e', 'f']) memory.remember(running({ current: unitOf(job, 1) }), 0);
    expect(memory.worked().map(({ job }) => job)).toEqual(['f', 'e', 'a', 'd', 'c']);
  });

  test('shows a unit that ended a moment more, with nothing done, and not at all when paused or later', () => {
    const memory = createVolunteerMemory();
    memory.remember(running({ current: unitOf('a', 1, 0.9) }), 1000);
    expect(memory.current(running({}), 1100)).toEqual(unitOf('a', 1, 0));
    expect(memory.current({ ...running({}), phase: 'paused' }, 1100)).toBeUndefined();
    expect(memory.current(running({}), 5000)).toBeUndefined();
  });

  test('puts results into bars and lets old ones go', () => {
    const memory = createVolunteerMemory();
    memory.remember(running({ sent: 2 }), 0);
    memory.remember(running({ sent: 3 }), barMs);
    expect(memory.bars(barMs).slice(-2)).toEqual([2, 1]);
    expect(memory.bars(barMs * barCount).slice(0, 2)).toEqual([1, 0]);
    expect(memory.bars(barMs * (barCount + 1)).every((count) => count === 0)).toBe(true);
  });

  test('forgets everything at the next start', () => {
    const memory = createVolunteerMemory();
    memory.remember(running({ current: unitOf('a', 1), sent: 4 }), 0);
    memory.remember({ ...stoppedView('hub'), phase: 'starting' }, 1);
    memory.remember(running({ sent: 1 }), 2);
    expect(memory.worked()).toEqual([]);
    expect(memory.bars(2).at(-1)).toBe(1);
  });
});
