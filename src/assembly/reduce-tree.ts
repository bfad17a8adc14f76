/**
 * `reduce`: the accepted outputs of a job become the inputs of a second one, level by level, until one output is left.
 * Each level is a job of its own on the hub; the submitter carries the tree, so it must stay connected until the end.
 */

import type { Bytes } from '../core/bytes.ts';
import { present } from '../core/assert.ts';
import type { ReduceJobFile } from '../protocol/job-file.ts';
import {
  joinGroups,
  prepareReduceJob,
  reduceLevels,
  type CheckShader,
  type PrepareOptions,
  type ReadFile,
} from './job.ts';
import type { RunningSubmitter, SubmittedHandle } from './submitter.ts';

export interface ReduceTree {
  /** The job whose outputs are the leaves. */
  readonly handle: SubmittedHandle;
  readonly file: ReduceJobFile;
  readonly fanIn: number;
  readonly read: ReadFile;
  readonly submitter: RunningSubmitter;
  readonly prepareOptions: () => PrepareOptions;
  readonly check?: CheckShader;
  readonly signal?: AbortSignal;
}

/** The last output; undefined where the job itself did not get done. */
export async function runReduceTree(tree: ReduceTree): Promise<Bytes | undefined> {
  let outputs = await outputsOf(tree.handle);
  const state = await tree.handle.finished;
  if (state.state !== 'done') return undefined;
  for (const groups of reduceLevels(outputs.length, tree.fanIn)) {
    const prepared = await prepareReduceJob(
      tree.file,
      joinGroups(outputs, groups),
      tree.read,
      tree.prepareOptions(),
      tree.check,
    );
    const level = await tree.submitter.submit(prepared, tree.signal);
    outputs = await outputsOf(level);
    const ended = await level.finished;
    if (ended.state !== 'done')
      throw new Error(`reduce: ${ended.state}${ended.reason === null ? '' : `: ${ended.reason}`}`);
  }
  return present(outputs[0], 'a reduce tree ends in one output');
}

async function outputsOf(handle: SubmittedHandle): Promise<Bytes[]> {
  const outputs: Bytes[] = [];
  for await (const { unit, bytes } of handle) outputs[unit] = bytes;
  return outputs;
}
