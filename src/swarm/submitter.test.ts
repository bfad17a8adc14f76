import { describe, expect, it } from 'vitest';
import type { JobState, Message, MessageOf } from '../protocol/messages.ts';
import { createSubmitter, runsOf, type SubmitterEffect } from './submitter.ts';
import { digestNamed, jobOne } from './test-hub.ts';

const stateOf = (state: JobState['state'], units = 3): Message => ({
  type: 'job-state',
  job: jobOne,
  name: 'test',
  program: 'shader',
  state,
  units,
  accepted: 0,
  attempts: 0,
  disagreements: 0,
  reason: null,
});
const accepted = (unit: number): MessageOf<'unit-accepted'> => ({
  type: 'unit-accepted',
  job: jobOne,
  unit,
  digest: digestNamed('f0'),
  by: [],
});
const sends = (effects: readonly SubmitterEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'send' ? [effect.message] : []));
const submitted = () => {
  const submitter = createSubmitter();
  submitter.receive({ type: 'linked' }, 0);
  submitter.receive({ type: 'submit', job: jobOne, signature: 'sig=', units: 3 }, 0);
  const hear = (message: Message) => submitter.receive({ type: 'message', message }, 0);
  return { submitter, hear };
};

describe('a submitter', () => {
  it('offers its job when there is a link, at once or later', () => {
    const submitter = createSubmitter();
    expect(submitter.receive({ type: 'submit', job: jobOne, signature: 'sig=', units: 3 }, 0)).toEqual([]);
    expect(sends(submitter.receive({ type: 'linked' }, 0))).toEqual([
      { type: 'submit', job: jobOne, signature: 'sig=' },
    ]);
  });

  it('provides the chunks that the hub wants, of its own jobs only', () => {
    const { hear } = submitted();
    const digests = [digestNamed('c1')];
    expect(hear({ type: 'chunks-wanted', job: jobOne, digests })).toEqual([{ type: 'provide', job: jobOne, digests }]);
    expect(hear({ type: 'chunks-wanted', job: digestNamed('c9') as never, digests })).toEqual([]);
  });

  it('collects every unit exactly once and is finished when all are here and the job is done', () => {
    const { submitter, hear } = submitted();
    hear(stateOf('running'));
    for (const unit of [0, 1, 1, 0]) hear(accepted(unit));
    expect(submitter.job(jobOne)).toMatchObject({ phase: 'running', collected: 2, finished: false });
    expect(hear(accepted(1))).toEqual([]);
    expect(hear(stateOf('done'))).toEqual([{ type: 'changed', job: jobOne, finished: false }]);
    expect(hear(accepted(2)).at(-1)).toEqual({ type: 'changed', job: jobOne, finished: true });
  });

  it('watches with what it has after a reconnect, and offers anew what the hub never took', () => {
    const { submitter, hear } = submitted();
    submitter.receive({ type: 'unlinked' }, 0);
    expect(sends(submitter.receive({ type: 'linked' }, 0))).toMatchObject([{ type: 'submit' }]);
    hear(stateOf('running'));
    hear(accepted(2));
    submitter.receive({ type: 'unlinked' }, 0);
    expect(sends(submitter.receive({ type: 'linked' }, 0))).toEqual([{ type: 'watch', job: jobOne, have: [[2, 1]] }]);
  });

  it('tells why the hub would not take its job, and does not offer it again', () => {
    const { submitter, hear } = submitted();
    expect(hear({ type: 'refused', what: 'submit', reason: 'expired' })).toEqual([
      { type: 'refused', job: jobOne, reason: 'expired' },
    ]);
    expect(submitter.job(jobOne)?.phase).toBe('refused');
    submitter.receive({ type: 'unlinked' }, 0);
    expect(sends(submitter.receive({ type: 'linked' }, 0))).toEqual([]);
  });

  it('hears a refusal that names its job, and none that names another', () => {
    const { submitter, hear } = submitted();
    expect(hear({ type: 'refused', what: `submit ${digestNamed('c9')}`, reason: 'no' })).toEqual([]);
    expect(hear({ type: 'refused', what: `submit ${jobOne}`, reason: 'no' })).toHaveLength(1);
    expect(submitter.job(jobOne)?.phase).toBe('refused');
  });

  it('cancels although the hub was away, or had not taken the job yet', () => {
    const cancel = { type: 'cancel', job: jobOne } as const;
    const { submitter, hear } = submitted();
    submitter.receive(cancel, 0);
    expect(sends(hear(stateOf('waiting')))).toEqual([cancel]);
    expect(sends(hear(stateOf('running')))).toEqual([]);

    const away = submitted();
    away.hear(stateOf('running'));
    away.submitter.receive({ type: 'unlinked' }, 0);
    expect(away.submitter.receive(cancel, 0)).toEqual([]);
    expect(sends(away.submitter.receive({ type: 'linked' }, 0))).toEqual([
      { type: 'watch', job: jobOne, have: [] },
      cancel,
    ]);
    away.hear(stateOf('cancelled'));
    away.submitter.receive({ type: 'unlinked' }, 0);
    expect(sends(away.submitter.receive({ type: 'linked' }, 0))).toEqual([]);
  });
});

it('runs join neighbours and nothing else', () => {
  expect(runsOf([5, 1, 2, 3, 9, 8])).toEqual([[1, 3], [5, 1], [8, 2]]); // prettier-ignore
  expect(runsOf([])).toEqual([]);
});
