/** The ground that every other story stands on: the browser that the finder picks has WebGPU and computes right. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'playwright/test';
import { launch } from './support/browser.ts';

test('the browser that was found has a WebGPU adapter on a secure page', async () => {
  // WebGPU exists in secure contexts only, and localhost is one.
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>empty</title>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const workgroup = await page.evaluate(async () => {
      const adapter = await navigator.gpu.requestAdapter();
      const device = await adapter?.requestDevice();
      const largest = device?.limits.maxComputeWorkgroupSizeX;
      device?.destroy();
      return largest;
    });
    // 256 is the least that the WebGPU specification lets an adapter offer.
    expect(workgroup).toBeGreaterThanOrEqual(256);
  } finally {
    await browser.close();
    await new Promise((resolve) => server.close(resolve));
  }
});
