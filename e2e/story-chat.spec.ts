/** Somebody talks to a model in the page: chooses it, sees the answer come, how fast and by whom, and stops one in the middle. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'playwright/test';
import { patience, root, test } from './support/story.ts';

const data = join(root, '..', 'shared', 'data');
const folder = join(data, 'stories260K');
const files = ['--model', join(folder, 'stories260K.bin'), '--tokenizer', join(folder, 'tok512.bin')];
const pictures = process.env['TABSWARM_PICTURES'];

test.skip(!existsSync(folder), 'needs the stories of ../shared/data');

test('a text begun in the page goes on in another tab as llama2.c would, and stops when told to', async ({ stage }) => {
  const { runs } = JSON.parse(readFileSync(join(data, 'oracle', 'stories260K_greedy.json'), 'utf8')) as {
    runs: { prompt: string; text: string }[];
  };
  const story = (runs[1]?.text ?? '').trimStart().slice((runs[1]?.prompt ?? '').length);
  const hub = await stage.hub({ words: [...files, '--name', 'stories'] });
  const volunteer = await stage.volunteer(hub.url);
  const page = await stage.page(`${hub.url}/#/chat`);
  const picture = async (name: string): Promise<void> => {
    if (pictures === undefined) return;
    for (const [size, width] of Object.entries({ wide: 1000, phone: 390 })) {
      await page.setViewportSize({ width, height: 900 });
      await page.screenshot({ path: join(pictures, `${name}-${size}.png`), fullPage: true });
    }
  };

  await expect(page.locator('[data-up="true"]')).toBeVisible(patience);
  await expect(page.getByLabel('What you write is')).toHaveValue('text', patience);
  await picture('chat-ready');
  await page.getByLabel('Temperature').fill('0');
  await page.getByLabel('Tokens at most').fill('120');
  await page.getByRole('textbox', { name: 'The beginning' }).fill('Once upon a time');
  await page.getByRole('button', { name: 'Send' }).click();

  const answer = page.locator('[data-role="assistant"]').last();
  await expect(answer).toHaveAttribute('data-end', 'length', patience);
  const text = (await answer.locator('.words').textContent()) ?? '';
  expect(text.length).toBeGreaterThan(200);
  expect(story.startsWith(text), text).toBe(true);
  await expect(answer.locator('[data-tokens]')).toContainText('120 tokens');
  await expect(answer.locator('[data-tokens]')).toContainText('tokens/s');
  await expect(answer.locator('[data-computed-by]')).toContainText('layers 1 to 5');
  await picture('chat-answered');

  await page.getByLabel('Tokens at most').fill('300');
  await page.getByRole('textbox', { name: 'The beginning' }).fill(' The cat');
  await page.keyboard.press('Enter');
  const second = page.locator('[data-role="assistant"]').nth(1);
  await expect(page.getByRole('textbox', { name: 'The beginning' })).toHaveValue('');
  await expect(second.locator('[data-tokens]')).not.toHaveAttribute('data-tokens', '0', patience);
  await picture('chat-answering');
  await page.getByRole('button', { name: 'Stop' }).click();
  await expect(second).toHaveAttribute('data-end', 'stopped', patience);
  await expect(page.getByRole('button', { name: 'Stop' })).toBeHidden();

  await page.getByLabel('What you write is').selectOption('chat');
  await page.getByRole('button', { name: 'Start anew' }).click();
  await page.getByLabel('Tokens at most').fill('20');
  await page.getByRole('textbox', { name: 'Your message' }).fill('Hello!');
  await page.getByRole('button', { name: 'Send' }).click();
  await expect(page.locator('[data-role="assistant"]')).toHaveAttribute('data-end', /length|stop/, patience);
  await picture('chat-chat');
  if (pictures !== undefined) await volunteer.screenshot({ path: join(pictures, 'volunteer.png'), fullPage: true });

  await page.getByRole('textbox', { name: 'Your message' }).fill('word '.repeat(800));
  await page.getByRole('button', { name: 'Send' }).click();
  await expect(page.getByRole('alert')).toContainText("the model's context holds 512", patience);
});
