/** `tabswarm generate`: text from a model, its samples spread over a swarm's tabs. */

import { Option, type Command } from 'commander';
import type { Swarm } from '../../assembly/swarm.ts';
import { InputError } from '../../core/result.ts';
import { selectionNames, type SelectionName } from '../../inference/selection.ts';
import { checkChoice, chooseSample, type ChosenSample } from '../choose-sample.ts';
import { runServed } from '../generate-served.ts';
import { encodePrompt, runGeneration, type GenerateSummary } from '../generate-run.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { readModel } from '../model-source.ts';
import { printResult, type Output } from '../output.ts';
import { openScorer } from '../scorer.ts';
import { withSwarm } from '../with-swarm.ts';
import { numberOption, patternOption, unitOfSamples, wholeOption } from './options.ts';

interface GenerateFlags {
  readonly model?: string;
  readonly served?: string;
  readonly stages?: number;
  readonly tokenizer?: string;
  readonly prompt: string;
  readonly hub?: string;
  readonly local: boolean;
  readonly samples: number;
  readonly samplesPerUnit?: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
  readonly replicas: number;
  readonly stop: readonly string[];
  readonly select?: SelectionName;
  readonly verifier?: string;
  readonly verifierSeconds: number;
  readonly answerPattern?: RegExp;
  readonly data: string;
  readonly json: boolean;
}

const collect = (text: string, earlier: readonly string[]): readonly string[] => [...earlier, text];

export function register(program: Command, output: Output): void {
  program
    .command('generate')
    .description('generate text from a model; without --hub, in a tab of this machine')
    .option(
      '--model <path>',
      'a folder with config.json and safetensors, a .safetensors, a .gguf, a llama2.c .bin, or its URL',
    )
    .option('--served <name>', 'instead of --model: one that the hub serves, by its name')
    .option('--stages <number>', 'split --model over so many tabs', wholeOption(1, 64))
    .option('--tokenizer <file>', 'a tokenizer.json, or a tokenizer of llama2.c')
    .option('--prompt <text>', 'what the text begins with', '')
    .option('--hub <url>', 'the hub whose tabs generate')
    .option('--local', 'in one tab that this command starts', false)
    .option('--samples <number>', 'texts to draw', wholeOption(1, 1_000_000), 1)
    .option('--samples-per-unit <number>', 'samples that one tab draws together', wholeOption(1, 1024))
    .option('--max-tokens <number>', 'tokens of one text', wholeOption(1, 1_000_000), 128)
    .option('--temperature <number>', '0 takes the likeliest token', numberOption(0, 100), 0.8)
    .option('--top-p <number>', 'keep the likeliest tokens up to this probability', numberOption(0.000001, 1), 1)
    .option('--top-k <number>', 'keep this many tokens; 0 keeps all', wholeOption(0, 1_000_000), 0)
    .option('--seed <number>', 'the same seed draws the same samples', wholeOption(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--replicas <number>', 'agreeing results that each unit needs', wholeOption(1, 16), 1)
    .option('--stop <text>', 'a token that ends a text; may be given several times', collect, [])
    .addOption(new Option('--select <how>', 'give one answer out of all samples').choices(selectionNames))
    .option('--verifier <file>', 'a JavaScript module or a shader job that scores texts')
    .option('--verifier-seconds <number>', 'for one text, before the module is given up', numberOption(0.01, 3600), 5)
    .option('--answer-pattern <regex>', 'its first group in the last match is the answer', patternOption)
    .option('--data <folder>', 'where your account key lies', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((flags: GenerateFlags) => run(flags, output));
}

async function run(flags: GenerateFlags, output: Output): Promise<void> {
  if (flags.local && flags.hub !== undefined) throw new InputError('--local and --hub exclude each other: give one');
  checkChoice(flags.select, flags.verifier);
  const draw = await chooseWay(flags, output);
  const { verifier, verifierSeconds } = flags;
  const scorer = verifier === undefined ? undefined : await openScorer(verifier, { msMax: verifierSeconds * 1000 });
  const tabs = flags.stages ?? (flags.local ? 1 : flags.replicas);
  try {
    const summary = await withSwarm({ ...flags, hub: flags.hub, tabs, output }, async (swarm, signal) => {
      const drawn = await draw(swarm, signal);
      if (flags.select === undefined) return drawn;
      const choice = { by: flags.select, scorer, pattern: flags.answerPattern };
      return { ...drawn, selected: await chooseSample(swarm, drawn, choice) };
    });
    printResult(output, flags.json, summary, () => told(summary, flags.prompt));
  } finally {
    await scorer?.close();
  }
}

type Draw = (swarm: Swarm, signal: AbortSignal) => Promise<GenerateSummary>;

/** How texts are drawn; whatever is wrong with the files is told before a hub or a tab is asked for anything. */
async function chooseWay(flags: GenerateFlags, output: Output): Promise<Draw> {
  const { model, served, stages, prompt, stop } = flags;
  const { samples, maxTokens, temperature, topP, topK, seed, replicas } = flags;
  if (served !== undefined && (model !== undefined || stages !== undefined))
    throw new InputError('--served excludes --model and --stages: the hub has the model already');
  if (served !== undefined && flags.hub === undefined) throw new InputError('--served: name the hub with --hub URL');
  const options = { samples, maxTokens, temperature, topP, topK, seed };
  const asked = { prompt, stop, progress: output.progress };
  if (served !== undefined) return (swarm, signal) => runServed({ swarm, signal, from: { served }, options, ...asked });
  if (model === undefined) throw new InputError('--model or --served: give one');
  if (stages !== undefined) {
    const from = { model, tokenizer: flags.tokenizer, stages };
    return (swarm, signal) => runServed({ swarm, signal, from, options, ...asked });
  }
  const source = await readModel(model, flags.tokenizer);
  encodePrompt({ source, prompt, stop });
  const samplesPerUnit = flags.samplesPerUnit ?? unitOfSamples(samples);
  return (swarm, signal) =>
    runGeneration({
      swarm,
      source,
      modelName: model,
      prompt,
      stop,
      options: { ...options, samplesPerUnit, verify: { replicas } },
      signal,
      onChange: ({ accepted, units }) => output.progress(`${accepted} of ${units} units accepted`),
    });
}

function told(summary: GenerateSummary & { readonly selected?: ChosenSample }, prompt: string): string[] {
  const { selected, samples } = summary;
  const speed = `${summary.tokensPerSecond.toFixed(1)} tokens/s`;
  if (selected !== undefined) {
    const { by, sample, votes, answer } = selected;
    return [
      `${prompt}${selected.text}`,
      `--- sample ${sample} of ${samples.length} by ${by}: the answer ${JSON.stringify(answer)} came ${votes} ${votes === 1 ? 'time' : 'times'}; ${speed}`,
    ];
  }
  return [
    ...samples.flatMap(({ text, finish, logprob }, index) => [
      `--- sample ${index} (${finish}, log-probability ${logprob.toFixed(2)})`,
      `${prompt}${text}`,
    ]),
    speed,
  ];
}
