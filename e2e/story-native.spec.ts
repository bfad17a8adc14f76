/**
 * Volunteers without a browser: the command line computes on Dawn, with whatever Vulkan driver this machine has. Skipped
 * where none works, which the command itself then says in one line.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { vulkanDrivers } from '../src/node/vulkan-drivers.ts';
import { acceptedAt, patience, test, type Command, type Hub, type Stage } from './support/story.ts';
import { expectWork, writeWork } from './support/work.ts';

/** A native volunteer that is connected, or what the last one said that found no GPU. */
async function openNative(stage: Stage, hub: Hub, folder: string): Promise<Command | string> {
  let said = 'no Vulkan driver was found';
  for (const { env } of await vulkanDrivers()) {
    const command = stage.commandIn(env, 'volunteer', '--native', '--hub', hub.url, '--data', folder);
    // Graphics libraries have error lines of their own, which are no end.
    const settled = /Connected to the hub|^error: (no |the |Dawn)/m;
    await expect.poll(() => command.stderr(), patience).toMatch(settled);
    if (/Connected to the hub/.test(command.stderr())) return command;
    expect(await command.ended).toBe(1);
    said = /^error: ((?:no |the |Dawn).*)/m.exec(command.stderr())?.[1] ?? command.stderr();
  }
  return said;
}

test('native volunteers finish a shader job; one that is interrupted gives its units back and nothing is lost', async ({
  stage,
}) => {
  const hub = await stage.hub();
  const folder = await stage.folder();
  const first = await openNative(stage, hub, join(folder, 'first'));
  test.skip(typeof first === 'string', typeof first === 'string' ? first : '');
  if (typeof first === 'string') return;
  const work = { name: 'work', units: 6, steps: 64 };
  const out = join(folder, 'out');
  const job = await writeWork(folder, work);
  const submit = stage.command('submit', job, '--hub', hub.url, '--data', folder, '--out', out, '--json');
  await expect.poll(() => acceptedAt(hub), { ...patience, intervals: [50] }).toBeGreaterThan(0);
  first.kill('SIGINT');
  expect(await first.ended).toBe(0);
  expect(first.stderr()).toContain('Stopped.');
  expect(existsSync(join(folder, 'first', 'native-1', 'account-key.pem'))).toBe(true);
  expect(existsSync(join(folder, 'first', 'native-1', 'lock.json'))).toBe(false);
  await expect.poll(async () => (await hub.health())?.volunteers, patience).toBe(0);
  const second = await openNative(stage, hub, join(folder, 'second'));
  expect(typeof second).not.toBe('string');
  expect(await submit.ended, submit.stderr()).toBe(0);
  expect(JSON.parse(submit.stdout())).toMatchObject({ state: 'done', accepted: work.units, disagreements: 0 });
  await expectWork(out, work);
});

test('a machine without a Vulkan driver is told so in one line, and what would do', async ({ stage }) => {
  const hub = await stage.hub();
  const nothing = { VK_DRIVER_FILES: '/no/such/driver.json' };
  test.skip(process.platform !== 'linux', 'other systems bring a GPU library that no variable hides');
  const command = stage.commandIn(nothing, 'volunteer', '--native', '--hub', hub.url);
  expect(await command.ended).toBe(1);
  const errors = command
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('error: ') && !line.includes('XDG'));
  expect(errors).toEqual([
    'error: no GPU: Dawn finds no adapter here; install a Vulkan driver, or volunteer through --tabs',
  ]);
});
