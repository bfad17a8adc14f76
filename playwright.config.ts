/**
 * End-to-end tests in real browsers. One worker: the software adapter takes all cores, and a story's tabs must not
 * wait for another story's. Specs start their browser through `e2e/support/browser.ts`, or take the `page` fixture.
 */

import { defineConfig } from 'playwright/test';
import { browserCommand } from './src/node/browser.ts';

const { executablePath, args } = await browserCommand();
// Whatever a story starts (commands, tabs) uses the same browser and does not search again.
process.env.TABSWARM_BROWSER = executablePath;

export default defineConfig({
  testDir: 'e2e',
  outputDir: '.tabswarm/test/playwright',
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 120_000,
  reporter: [['list'], ['json', { outputFile: '.tabswarm/test/e2e.json' }]],
  use: { launchOptions: { executablePath, args } },
});
