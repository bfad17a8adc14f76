/**
 * `npm run bench -- --suite wire,kernels,inference,duty,network,hub,pipeline --peers --rounds 9 --json`: runs the chosen suites and prints a table, or one
 * JSON object. How they are timed is in `measure.ts`; `docs/benchmarks.md` tells what each suite and option is for.
 */

import { cpus } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { raceInBrowser } from './browser-run.ts';
import { dutyLines, measureDuty } from './duty.ts';
import { kernelReport, writeKernels } from './kernel-report.ts';
import { problems } from './kernels/problem.ts';
import { measureHub } from './hub.ts';
import { measure, type MeasuredCase } from './measure.ts';
import { root } from '../src/node/prepare.mjs';
import { measureNetwork } from './network.ts';
import { benchNative, nativeProblems } from './native.ts';
import { packNative } from './native-pack.ts';
import { nativeDocument, writeNative } from './native-report.ts';
import { measurePipeline, pipelineLine } from './pipeline.ts';
import { reportOf, sentenceOf } from './report.ts';
import { writeSwarm } from './swarm-report.ts';
import { wireCases } from './wire.ts';

const suites = ['wire', 'kernels', 'inference', 'duty', 'network', 'hub', 'pipeline'] as const;
type Suite = (typeof suites)[number];
const browsers = ['chromium', 'firefox'] as const;

/** A mistake on the command line, told in one line. */
class UsageError extends Error {}

interface Settings {
  readonly suites: readonly Suite[];
  readonly rounds: number;
  readonly json: boolean;
  readonly peers: boolean;
  readonly browser: (typeof browsers)[number];
  /** Undefined: all that suit. */
  readonly cases: readonly string[] | undefined;
  readonly native: boolean;
  readonly gpu: string | undefined;
  /** Where to make a folder for machines without a network, instead of running. */
  readonly pack: string | undefined;
  readonly target: string;
}

function settingsOf(): Settings {
  const { values } = parseArgs({
    options: {
      suite: { type: 'string', default: 'wire' },
      rounds: { type: 'string', default: '9' },
      json: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: false },
      browser: { type: 'string', default: 'chromium' },
      case: { type: 'string' },
      native: { type: 'boolean', default: false },
      gpu: { type: 'string' },
      pack: { type: 'string' },
      target: { type: 'string', default: `${process.platform}-${process.arch}` },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new UsageError(`--rounds ${values.rounds}: give a whole number above 0`);
  }
  const known = Object.keys(values.native ? nativeProblems : problems);
  const cases = values.case?.split(',');
  const unknown = cases?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`--case ${unknown}: no such case; the cases are ${known.join(', ')}`);
  }
  if (values.native && values.peers) {
    throw new UsageError('--peers: the other libraries run in browsers; leave --native out');
  }
  for (const name of ['gpu', 'pack'] as const) {
    if (!values.native && values[name] !== undefined) throw new UsageError(`--${name}: works with --native; add it`);
  }
  return {
    suites: values.suite.split(',').map((name) => oneOf(suites, name, '--suite', 'suite')),
    rounds,
    json: values.json,
    peers: values.peers,
    browser: oneOf(browsers, values.browser, '--browser', 'browser'),
    cases,
    native: values.native,
    gpu: values.gpu,
    pack: values.pack,
    target: values.target,
  };
}

function oneOf<Name extends string>(known: readonly Name[], name: string, option: string, what: string): Name {
  const found = known.find((one) => one === name);
  if (found === undefined) {
    throw new UsageError(`${option} ${name}: no such ${what}; the ${what}s are ${known.join(', ')}`);
  }
  return found;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function main(): Promise<number> {
  const settings = settingsOf();
  if (settings.native) return native(settings);
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Node ${process.versions.node}`;
  const wire: MeasuredCase[] = [];
  if (settings.suites.includes('wire')) {
    for (const one of wireCases()) {
      say(`${one.name} ...`);
      wire.push(await measure(one, settings.rounds, () => performance.now() / 1000));
    }
  }
  const hasKernels = settings.suites.includes('kernels');
  const inference = settings.suites.includes('inference');
  const chosen = hasKernels ? (settings.cases ?? Object.keys(problems)) : [];
  const kernels =
    hasKernels || inference
      ? await raceInBrowser({ ...settings, peers: settings.peers && hasKernels, problems: chosen, inference, say })
      : undefined;
  const network = settings.suites.includes('network') ? await measureNetwork(settings.rounds, say) : [];
  const hub = settings.suites.includes('hub') ? await measureHub(settings.rounds, say) : [];
  const cases = [...wire, ...(kernels?.cases ?? []), ...(kernels?.inference?.cases ?? []), ...network, ...hub];
  const pipeline = settings.suites.includes('pipeline') ? await measurePipeline(say) : undefined;
  const duty = settings.suites.includes('duty') ? await measureDuty(say) : undefined;
  // A choice of cases, or ours alone, is no comparison to keep.
  if (kernels !== undefined && hasKernels && settings.peers && settings.cases === undefined) {
    const folder = join(root, 'bench', 'results', 'kernels');
    for (const path of writeKernels(machine, settings.rounds, kernels, folder)) say(`wrote ${relative(root, path)}`);
  }
  if (network.length > 0 && hub.length > 0) {
    for (const path of writeSwarm(machine, settings.rounds, network, hub)) say(`wrote ${relative(root, path)}`);
  }
  if (settings.json) {
    const where = kernels === undefined ? {} : kernelReport(machine, kernels);
    const report = {
      machine,
      ...where,
      cases: cases.map(reportOf),
      ...(kernels?.inference && { sixteenOverOne: kernels.inference.sixteenOverOne }),
      ...(duty && { duty }),
      ...(pipeline && { pipeline }),
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else {
    const lines = [
      machine,
      ...cases.map(sentenceOf),
      ...(kernels?.inference === undefined
        ? []
        : [`a step of 16 sequences takes ${kernels.inference.sixteenOverOne.toFixed(2)} times as long as one of 1`]),
      ...(duty === undefined ? [] : dutyLines(duty)),
      ...(pipeline ?? []).map(pipelineLine),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return Object.keys(kernels?.broken ?? {}).length === 0 ? 0 : 1;
}

async function native({ pack, target, json, ...options }: Settings): Promise<number> {
  if (pack !== undefined) {
    await packNative(resolve(pack), target);
    say(`${pack}: copy it to the machine with the GPU and run \`node bench.mjs\` in it`);
    return 0;
  }
  const report = await benchNative({ ...options, say });
  for (const path of writeNative(report, join(root, 'bench', 'results', 'native')))
    say(`wrote ${relative(root, path)}`);
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : nativeDocument(report));
  return Object.keys(report.broken).length === 0 && report.exact.equal ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!isUsage && !(error instanceof UsageError)) throw error;
  process.stderr.write(`tabswarm bench: ${error.message}\n`);
  process.exitCode = 2;
}
