/** A browser that is asked to look while somebody waits, and left alone otherwise. */

import { expect, test } from 'vitest';
import type { Clock } from '../../core/clock.ts';
import { createPrompt } from './prompt.ts';

/** Timers that fire when the test says so. */
function createTimers(): Clock & { fire(): void; readonly pending: number } {
  let calls: (() => void)[] = [];
  return {
    now: () => 0,
    after(_, call) {
      calls.push(call);
      return () => undefined;
    },
    fire() {
      const due = calls;
      calls = [];
      for (const call of due) call();
    },
    get pending() {
      return calls.length;
    },
  };
}

/** A browser that looks at its GPU only when something is submitted. */
function createLazyBrowser(): { ask(): void; workDone(): Promise<void>; asked: number } {
  let waiting: (() => void)[] = [];
  return {
    asked: 0,
    ask() {
      this.asked += 1;
      for (const call of waiting) call();
      waiting = [];
    },
    workDone: () => new Promise((resolve) => void waiting.push(resolve)),
  };
}

test('work that nobody looks at is found done, and afterwards nobody is asked', async () => {
  const timers = createTimers();
  const browser = createLazyBrowser();
  const prompt = createPrompt(() => browser.ask(), timers);
  const first = prompt.during(browser.workDone());
  const second = prompt.during(browser.workDone());
  expect(timers.pending).toBe(1);
  timers.fire();
  await Promise.all([first, second]);
  timers.fire();
  expect([browser.asked, timers.pending]).toEqual([1, 0]);
  const third = prompt.during(browser.workDone());
  timers.fire();
  await third;
  expect(browser.asked).toBe(2);
});

test('without a wait the browser is never asked', () => {
  const timers = createTimers();
  const browser = createLazyBrowser();
  createPrompt(() => browser.ask(), timers);
  timers.fire();
  expect([browser.asked, timers.pending]).toEqual([0, 0]);
});

test('a wait that fails is no longer asked for', async () => {
  const timers = createTimers();
  let asked = 0;
  const prompt = createPrompt(() => (asked += 1), timers);
  await expect(prompt.during(Promise.reject(new Error('lost')))).rejects.toThrow('lost');
  timers.fire();
  expect([asked, timers.pending]).toEqual([0, 0]);
});
