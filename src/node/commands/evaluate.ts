/** `tabswarm evaluate PROBLEMS.jsonl`: many samples of each problem; what they reach, what a selection finds, what it costs. */

import { InvalidArgumentError, type Command } from 'commander';
import { InputError } from '../../core/result.ts';
import { runEvaluation } from '../evaluate-run.ts';
import type { EvaluateSummary } from '../evaluate-summary.ts';
import { encodePrompt } from '../generate-run.ts';
import { checkGrader } from '../grading.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { readModel, type ModelSource } from '../model-source.ts';
import { printResult, type Output } from '../output.ts';
import { readProblems } from '../problem-file.ts';
import { openScorer } from '../scorer.ts';
import { thinkingPlan } from '../thinking.ts';
import { withSwarm } from '../with-swarm.ts';
import { numberOption, patternOption, unitOfSamples, wholeOption } from './options.ts';

interface EvaluateFlags {
  readonly model: string;
  readonly tokenizer?: string;
  readonly hub?: string;
  readonly tabs: number;
  readonly samples: number;
  readonly samplesPerUnit?: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number;
  readonly seed: number;
  readonly replicas: number;
  readonly stop: readonly string[];
  readonly verifier?: string;
  readonly verifierSeconds: number;
  readonly answerPattern?: RegExp;
  readonly think?: readonly number[];
  readonly thinkEnd?: string;
  readonly thinkMore?: string;
  readonly thinkSamples: number;
  readonly out: string;
  readonly data: string;
  readonly json: boolean;
}

const collect = (text: string, earlier: readonly string[]): readonly string[] => [...earlier, text];

function budgetsOption(text: string): readonly number[] {
  const budgets = text.split(',').map(Number);
  if (/^\d+(,\d+)*$/.test(text) && budgets.every((budget) => budget <= 100_000)) return budgets;
  throw new InvalidArgumentError('expected whole numbers of tokens with commas between them, such as 0,16,64');
}

export function register(program: Command, output: Output): void {
  program
    .command('evaluate <problems>')
    .description('sample every problem of a set many times; without --hub, in tabs of this machine')
    .requiredOption('--model <path>', 'as for generate')
    .option('--tokenizer <file>', 'a tokenizer.json, or a tokenizer of llama2.c')
    .option('--hub <url>', 'the hub whose tabs generate')
    .option('--tabs <number>', 'tabs to start here where no hub is named', wholeOption(1, 64), 2)
    .option('--samples <number>', 'texts to draw for each problem', wholeOption(1, 1_000_000), 64)
    .option('--samples-per-unit <number>', 'samples that one tab draws together', wholeOption(1, 1024))
    .option('--max-tokens <number>', 'tokens of one text', wholeOption(1, 1_000_000), 128)
    .option('--temperature <number>', '0 takes the likeliest token', numberOption(0, 100), 0.6)
    .option('--top-p <number>', 'keep the likeliest tokens up to this probability', numberOption(0.000001, 1), 0.95)
    .option('--top-k <number>', 'keep this many tokens; 0 keeps all', wholeOption(0, 1_000_000), 0)
    .option('--seed <number>', 'the same seed draws the same samples', wholeOption(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--replicas <number>', 'agreeing results that each unit needs', wholeOption(1, 16), 1)
    .option('--stop <text>', 'a token that ends a text; may be given several times', collect, [])
    .option('--verifier <file>', 'a JavaScript module or a shader job that scores texts')
    .option('--verifier-seconds <number>', 'for one text, before the module is given up', numberOption(0.01, 3600), 5)
    .option('--answer-pattern <regex>', 'its first group in the last match is the answer', patternOption)
    .option('--think <numbers>', 'also let one sample think this many tokens at most, such as 0,16,64', budgetsOption)
    .option('--think-end <text>', 'the token that ends a thought')
    .option('--think-more <text>', 'put in place of an end that comes before the budget is spent')
    .option('--think-samples <number>', 'samples for each budget', wholeOption(1, 1024), 4)
    .option('--out <folder>', 'where samples, summary and plot go', 'evaluation')
    .option('--data <folder>', 'where your account key lies', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((problems: string, flags: EvaluateFlags) => run(problems, flags, output));
}

async function run(path: string, flags: EvaluateFlags, output: Output): Promise<void> {
  const problems = await readProblems(path);
  const source = await readModel(flags.model, flags.tokenizer);
  // Before a hub or a tab is asked for anything.
  for (const [index, { prompt }] of problems.entries())
    checkPrompt(source, prompt, flags.stop, `${path}: problem ${index + 1}`);
  const thinking =
    flags.think === undefined
      ? undefined
      : thinkingPlan(source.tokenizer, {
          budgets: flags.think,
          end: flags.thinkEnd,
          more: flags.thinkMore,
          samples: flags.thinkSamples,
        });
  const scorer =
    flags.verifier === undefined
      ? undefined
      : await openScorer(flags.verifier, { msMax: flags.verifierSeconds * 1000 });
  try {
    const grader = { scorer, pattern: flags.answerPattern };
    checkGrader(problems, grader, path);
    const { samples, maxTokens, temperature, topP, topK, seed, replicas } = flags;
    const samplesPerUnit = flags.samplesPerUnit ?? unitOfSamples(samples);
    const summary = await withSwarm({ ...flags, hub: flags.hub, output }, (swarm, signal) =>
      runEvaluation({
        swarm,
        source,
        modelName: flags.model,
        problems,
        plan: { samples, samplesPerUnit, maxTokens, temperature, topP, topK, seed, replicas },
        thinking,
        stop: flags.stop,
        grader,
        out: flags.out,
        signal,
        onProblem: (done, total) => output.progress(`${done} of ${total} problems`),
      }),
    );
    printResult(output, flags.json, summary, () => told(summary));
  } finally {
    await scorer?.close();
  }
}

/** A prompt that does not suit the model is told with its place in the set. */
function checkPrompt(source: ModelSource, prompt: string, stop: readonly string[], where: string): void {
  try {
    encodePrompt({ source, prompt, stop });
  } catch (error) {
    if (error instanceof InputError) throw new InputError(error.message.replace(/^--prompt/, `${where}: prompt`));
    throw error;
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

function told(summary: EvaluateSummary): string[] {
  const { coverage, selections, thinking, cost, fit, distinct } = summary;
  return [
    `${summary.problems} problems, ${summary.samples} samples each, ${percent(distinct)} of them different, ${summary.seconds.toFixed(0)} s`,
    ...coverage.map(({ k, coverage: share, standardError }) => {
      const others = Object.entries(selections).map(
        ([name, curve]) => `${name} ${percent(curve.find((point) => point.k === k)?.accuracy ?? NaN)}`,
      );
      return `k ${k}: coverage ${percent(share)} ± ${percent(standardError)}, ${others.join(', ')}`;
    }),
    ...(fit === null ? [] : [`coverage ~ exp(${fit.a.toFixed(3)} k^${fit.b.toFixed(3)})`]),
    ...thinking.map(
      ({ budget, tokens, accuracy, standardError }) =>
        `thinking up to ${budget} tokens (${tokens.toFixed(1)} in all): ${percent(accuracy)} ± ${percent(standardError)}`,
    ),
    `${cost.tokens} tokens drawn after ${cost.promptTokens} of prompts, ${cost.flops.toExponential(2)} FLOP, credit ${cost.credit}`,
    `samples.jsonl, summary.json and coverage.svg are in ${summary.out}`,
  ];
}
