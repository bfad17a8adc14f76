/** The last line of `npm test` and its exit status: no failure may hide in a report that looks clean. */

import { expect, test } from 'vitest';
import { add, nothing, playwrightCount, sentence, statusOf, verdict, vitestCount, withStatus } from './test-count.mjs';

test('the last line names passed and failed, and skipped only where some were', () => {
  expect(sentence({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed');
  expect(sentence({ passed: 12, failed: 3, skipped: 1 })).toBe('12 passed, 3 failed, 1 skipped');
});

test('stages add up over both runners', () => {
  const unit = vitestCount({ numPassedTests: 5, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 });
  const stories = playwrightCount({ stats: { expected: 4, unexpected: 1, flaky: 1, skipped: 1 } });
  expect([verdict(true), unit, stories].reduce(add, nothing)).toEqual({ passed: 10, failed: 3, skipped: 4 });
});

test('a runner that dies without a failed test has failed', () => {
  expect(withStatus({ passed: 5, failed: 0, skipped: 0 }, 1)).toEqual({ passed: 5, failed: 1, skipped: 0 });
  expect(withStatus({ passed: 5, failed: 0, skipped: 0 }, 0)).toEqual({ passed: 5, failed: 0, skipped: 0 });
});

test('only a run in which something passed and nothing failed is a success', () => {
  expect(statusOf({ passed: 1, failed: 0, skipped: 3 })).toBe(0);
  expect(statusOf({ passed: 9, failed: 1, skipped: 0 })).toBe(1);
  expect(statusOf(nothing)).toBe(1);
});
