/**
 * The ten-minute walk in `src/README.md`, "The life of a unit": its links lead somewhere, the names in it are exported by
 * the files beside them, and the simulation's trace of one unit passes the same stations in the same order.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { scenarios } from './sim/scenarios.ts';
import { simulate } from './sim/simulate.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const walk = sectionOf(readFileSync(join(here, 'README.md'), 'utf8'), 'The life of a unit');
const minutesMax = 10;
/** How fast somebody reads who wants to understand. */
const wordsPerMinute = 150;

interface StepOfWalk {
  readonly station: string;
  readonly links: readonly string[];
  readonly names: readonly string[];
}

const steps = stepsOf(walk);

describe('the walk', () => {
  test('takes ten minutes at most', () => {
    expect(walk.split(/\s+/).length).toBeLessThan(minutesMax * wordsPerMinute);
  });

  test('is read as steps, each with a station, links and names', () => {
    const [only] = stepsOf('1. **swarm/a**. One `thing` in\n   [a](swarm/a.ts).\n\nNot a `step`.');
    expect(only).toEqual({ station: 'swarm/a', links: ['swarm/a.ts'], names: ['thing'] });
    expect(steps.length).toBeGreaterThan(10);
  });

  test.each(steps.map((step, index) => ({ ...step, number: index + 1 })))(
    'step $number, $station: its links lead to its files, and these export $names',
    ({ station, links, names }) => {
      for (const link of links) expect(existsSync(join(here, link)), link).toBe(true);
      for (const place of station.split(', '))
        expect(
          links.some((link) => isAt(link, place)),
          place,
        ).toBe(true);
      const exported = links.flatMap((link) => exportsOf(readFileSync(join(here, link), 'utf8')));
      expect(names).not.toEqual([]);
      expect(names.filter((name) => !exported.includes(name))).toEqual([]);
    },
  );

  test('a name that no file exports would be noticed', () => {
    const text =
      'export { a as b, type C } from "x";\nexport async function d() {}\nconst e = 1;\nexport abstract class F {}';
    expect(exportsOf(text)).toEqual(['b', 'C', 'd', 'F']);
  });
});

describe('the trace', () => {
  const lines = traceOfAUnit();
  const places = lines.map((line) => line.slice(13, 38).trim());

  test('passes the stations of the walk in its order, and no others', () => {
    expect([...new Set(places)]).toEqual([...new Set(steps.map(({ station }) => station))]);
  });

  test('ends where the walk ends', () => {
    expect(places.at(-1)).toBe(steps.at(-1)?.station);
  });

  test('names places that are there', () => {
    const folders = ['.', '..'];
    for (const place of new Set(places.flatMap((each) => each.split(', ')))) {
      const found = folders.some((folder) =>
        [place, `${place}.ts`].some((path) => existsSync(join(here, folder, path))),
      );
      expect(found, place).toBe(true);
    }
  });
});

/** The text under a heading, up to the next one. */
function sectionOf(text: string, heading: string): string {
  const [, section = ''] = text.split(`## ${heading}\n`);
  return section.split('\n## ')[0] ?? '';
}

function stepsOf(text: string): StepOfWalk[] {
  return text
    .split(/\n(?=\d+\. )/)
    .map((item) => item.split('\n\n')[0] ?? '')
    .flatMap((item) => {
      const station = /^\d+\. \*\*(.+?)\*\*/.exec(item)?.[1];
      if (station === undefined) return [];
      const links = [...item.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] ?? '');
      const names = [...item.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');
      return [{ station, links, names }];
    });
}

/** Whether a link leads to the place: its file, or one in its folder. */
const isAt = (link: string, place: string): boolean =>
  link.replace('../', '') === `${place}.ts` || link.replace('../', '').startsWith(`${place}/`);

/** The names that a file exports, also those that it passes on. */
function exportsOf(text: string): string[] {
  const declared = /^export (?:declare )?(?:abstract )?(?:async )?(?:const|function\*?|class|interface|type) (\w+)/;
  return text.split(/\n(?=export )/).flatMap((part) => {
    const list = /^export (?:type )?\{([^}]*)\}/.exec(part)?.[1];
    if (list === undefined) return declared.exec(part)?.[1] ?? [];
    return list
      .split(',')
      .map((name) => name.trim().split(/\s+/).at(-1) ?? '')
      .filter((name) => name !== '');
  });
}

function traceOfAUnit(): readonly string[] {
  const scenario = scenarios.get('life-of-a-unit');
  if (scenario === undefined) throw new Error('there is no scenario life-of-a-unit');
  const told: string[] = [];
  simulate({ scenario, seed: 1, trace: (line) => told.push(line) });
  return told;
}
