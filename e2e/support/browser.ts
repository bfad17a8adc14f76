/**
 * The browser of the end-to-end tests: the one that every command uses. A spec calls `launch()` in `beforeAll`, opens a
 * context of its own per volunteer (a context is an account), and closes the browser in `afterAll`.
 */

export { launchBrowser as launch } from '../../src/node/browser.ts';
