/**
 * Counting tests over runners that report differently, and the line that `npm test` ends with. `run-tests.mjs` runs the
 * stages; nothing here starts anything.
 */

/** @typedef {{ readonly passed: number, readonly failed: number, readonly skipped: number }} Count */

/** @type {Count} */
export const nothing = { passed: 0, failed: 0, skipped: 0 };

/**
 * A stage that is one test.
 * @param {boolean} good
 * @returns {Count}
 */
export const verdict = (good) => ({ passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 });

/**
 * @param {Count} a
 * @param {Count} b
 * @returns {Count}
 */
export const add = (a, b) => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

/**
 * Vitest's JSON report.
 * @param {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number }} report
 * @returns {Count}
 */
export const vitestCount = (report) => ({
  passed: report.numPassedTests,
  failed: report.numFailedTests,
  skipped: report.numPendingTests + report.numTodoTests,
});

/**
 * Playwright's JSON report. A test that passed at a second try only is no test to trust.
 * @param {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number } }} report
 * @returns {Count}
 */
export const playwrightCount = ({ stats }) => ({
  passed: stats.expected,
  failed: stats.unexpected + stats.flaky,
  skipped: stats.skipped,
});

/**
 * A runner that failed without a failed test (a file that does not load, a crash, nothing found) has failed once.
 * @param {Count} count
 * @param {number} status the runner's exit status
 * @returns {Count}
 */
export const withStatus = (count, status) => (status !== 0 && count.failed === 0 ? { ...count, failed: 1 } : count);

/**
 * The last line.
 * @param {Count} count
 */
export const sentence = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;

/**
 * The exit status of the whole: nothing run is no success.
 * @param {Count} count
 */
export const statusOf = ({ passed, failed }) => (failed > 0 || passed === 0 ? 1 : 0);
