/**
 * `node bench.mjs [--rounds 9] [--case a,b] [--gpu NAME] [--out FOLDER]`: the native benchmark alone, in one file that
 * needs Node, a Vulkan loader and the package `webgpu` beside it. `npm run bench -- --native --pack FOLDER` makes it.
 */

import { parseArgs } from 'node:util';
import { benchNative } from './native.ts';
import { writeNative } from './native-report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    case: { type: 'string' },
    gpu: { type: 'string' },
    out: { type: 'string', default: '.' },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const report = await benchNative({
  rounds: Number(values.rounds),
  cases: values.case?.split(','),
  gpu: values.gpu,
  say,
});
for (const path of writeNative(report, values.out)) say(`wrote ${path}`);
process.stdout.write(`${JSON.stringify(report)}\n`);
process.exitCode = Object.keys(report.broken).length === 0 && report.exact.equal ? 0 : 1;
