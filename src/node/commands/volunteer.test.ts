/** What `tabswarm volunteer --native` makes of the GPUs of a machine and of wishes for some of them. */

import { describe, expect, test } from 'vitest';
import { InputError } from '../../core/result.ts';
import { namesIn } from '../open-gpu.ts';
import { runProgram } from '../program.ts';
import { chosenGpus } from './volunteer.ts';

const machine = ['NVIDIA H200', 'AMD Radeon RX 7900', 'llvmpipe (LLVM 15.0.6, 256 bits)'];

describe('the GPUs of a machine', () => {
  test('are read from what the library says when it is asked for one that does not exist', () => {
    const said = [
      "no adapter with backend 'vulkan' and name 'x' found",
      'Available adapters:',
      ...machine.map((name) => ` * backend: 'vulkan', name: '${name}'`),
      " * backend: 'opengl', name: 'NVIDIA H200 by another way'",
      " * backend: 'vulkan', name: 'NVIDIA H200'",
    ].join('\n');
    expect(namesIn(said, 'vulkan')).toEqual(machine);
    expect(namesIn('something else', 'vulkan')).toEqual([]);
  });

  test('compute all together, without the software driver where there is a real one', () => {
    expect(chosenGpus(machine, [])).toEqual(machine.slice(0, 2));
    expect(chosenGpus(machine.slice(2), [])).toEqual(machine.slice(2));
  });

  test('are chosen by a part of their names, and a wrong name is answered with the right ones', () => {
    expect(chosenGpus(machine, ['radeon'])).toEqual(['AMD Radeon RX 7900']);
    expect(chosenGpus(machine, ['llvm', 'h200'])).toEqual([machine[0], machine[2]]);
    expect(() => chosenGpus(machine, ['intel'])).toThrow(
      new InputError(`--gpu intel: no such GPU; here are: ${machine.join(', ')}`),
    );
  });

  test('are missed in one line that says what would do', () => {
    expect(() => chosenGpus([], [])).toThrow(/^no GPU: .*install a Vulkan driver, or volunteer through --tabs$/);
  });
});

test.each([
  [['--native', '--tabs', '2'], 'error: --tabs: a volunteer with --native has no tabs; leave one out'],
  [['--gpu', 'x'], 'error: --gpu: a browser chooses the GPU itself; add --native'],
  [['--duty', '50'], 'error: --duty: tabs compute as much as they can; add --native'],
])('options that do not go together are refused before anything starts: %s', async (words, line) => {
  const said: string[] = [];
  const output = { result: (text: string) => void said.push(text), progress: (text: string) => void said.push(text) };
  expect(await runProgram(['volunteer', '--hub', 'http://127.0.0.1:9', ...words], output)).toBe(2);
  expect(said).toEqual([line]);
});
