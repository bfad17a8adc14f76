/**
 * The demo: a hub, four honest tabs and a liar on this machine do a shader job, a training run and text generation, one
 * after another, and the liar is caught. Everything is the real thing: real tabs, WebRTC, WebGPU, and the same code
 * that the commands use.
 */

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assemblePicture } from '../../../examples/render/assemble.ts';
import { check } from '../../../examples/render/render-truth.ts';
import { sceneWords } from '../../../examples/render/scene.ts';
import type { Swarm } from '../../assembly/swarm.ts';
import { expectInput } from '../../core/result.ts';
import { parseJobFile } from '../../protocol/job-file.ts';
import { runGeneration } from '../generate-run.ts';
import type { LocalSwarm } from '../local-swarm.ts';
import { readModel } from '../model-source.ts';
import { readInput } from '../read-input.ts';
import { runTraining, type TrainSummary } from '../train-run.ts';
import type { DemoSize } from './demo-jobs.ts';
import { demoSummary, type DemoSummary, type ShaderOutcome } from './demo-summary.ts';
import { demoText } from './demo-text.ts';

/** Where the demo shows how far it is; three jobs, each with a bar. */
export interface DemoProgress {
  stage(name: string, total: number): (done: number, note: string) => void;
  line(text: string): void;
}

export interface DemoOptions {
  readonly root: string;
  readonly out: string;
  readonly size: DemoSize;
  readonly text: string | undefined;
  readonly local: LocalSwarm;
  readonly swarm: Swarm;
  readonly progress: DemoProgress;
  /** When the demo began, by `performance.now()`. */
  readonly started: number;
}

export async function runDemo(options: DemoOptions): Promise<DemoSummary> {
  const { out, local } = options;
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const shader = await runRender(options);
  const train = await runTrain(options);
  const generate = await runGenerate(options, train);
  await writeFile(
    join(out, 'generated.txt'),
    generate.samples.map(({ text }, index) => `--- ${index}\n${generate.prompt}${text}\n`).join(''),
  );
  await screenshot(options);
  const summary = demoSummary({
    seconds: (performance.now() - options.started) / 1000,
    tabs: local.open.length,
    hub: local.server.hub.view(),
    shader,
    train,
    generate,
  });
  await writeFile(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`);
  return summary;
}

async function runRender({ root, out, size, swarm, progress }: DemoOptions): Promise<ShaderOutcome> {
  const folder = join(root, 'examples', 'render');
  const value: unknown = JSON.parse((await readInput(join(folder, size.render))).toString('utf8'));
  const job = await swarm.submitFile(value, { files: (name) => readInput(join(folder, name)), where: size.render });
  const bar = progress.stage('render', job.prepared.manifest.units);
  const outputs = new Map<number, Uint8Array>();
  for await (const { unit, bytes } of job) {
    outputs.set(unit, bytes);
    bar(outputs.size, `${job.state()?.disagreements ?? 0} disagreements`);
  }
  const state = await job.finished;
  const image = join(out, 'render.png');
  await writeFile(image, assemblePicture(outputs));
  return { state, image, wrong: check(outputs, sceneWords(), size.renderSamples) };
}

async function runTrain({ root, out, size, text, swarm, progress }: DemoOptions): Promise<TrainSummary> {
  const corpus = join(out, 'corpus.txt');
  await writeFile(corpus, await demoText(root, text));
  const input = { ...size.train, version: 1, program: 'train', name: 'demo', data: { files: ['corpus.txt'] } };
  const file = expectInput(parseJobFile(input, 'demo training'));
  if (file.program !== 'train') throw new Error('the demo trains');
  const rounds = Math.ceil(file.steps / file.method.innerSteps);
  const bar = progress.stage('train', rounds);
  return runTraining({
    swarm,
    file,
    folder: out,
    where: 'demo training',
    out: join(out, 'run'),
    onRound: ({ round, trainLoss }) => bar(round, trainLoss === null ? '' : `loss ${trainLoss.toFixed(2)}`),
  });
}

async function runGenerate({ size, swarm, progress }: DemoOptions, train: TrainSummary) {
  const { prompt, ...chosen } = size.generate;
  const bar = progress.stage('generate', Math.ceil(chosen.samples / chosen.samplesPerUnit));
  return runGeneration({
    swarm,
    source: await readModel(join(train.out, 'checkpoint'), undefined),
    modelName: join(train.out, 'checkpoint'),
    prompt,
    stop: [],
    options: { ...chosen, temperature: 0.8, seed: 1 },
    onChange: ({ accepted }) => bar(accepted, ''),
  });
}

/** What a volunteer saw. */
async function screenshot({ local, out }: DemoOptions): Promise<void> {
  await local.open.at(-1)?.page.screenshot({ path: join(out, 'volunteer.png') });
}
