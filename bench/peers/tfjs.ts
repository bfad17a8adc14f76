/** TensorFlow.js on its WebGPU backend at the problems. It gathers dispatches and submits them by itself or when asked. */

import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients.js';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { present } from '../../src/core/assert.ts';
import type { Operation, Problem } from '../kernels/problem.ts';
import type { Library, Work } from '../kernels/work.ts';
import manifest from './package.json';
import { createPeek } from './peek.ts';
import { tfjsTraining } from './tfjs-training.ts';

/** Reads the first element of a tensor. */
export type Look = (tensor: tf.Tensor) => Promise<number>;

export async function openTfjs(): Promise<Library> {
  await tf.setBackend('webgpu');
  await tf.ready();
  const backend = tf.backend();
  if (!(backend instanceof WebGPUBackend)) throw new Error('TensorFlow.js found no WebGPU');
  const peek = createPeek(backend.device);
  const look: Look = (tensor) => {
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
    return peek(present(backend.tensorMap.get(tensor.dataId).resource, 'the tensor is not on the GPU'));
  };
  return {
    name: `@tensorflow/tfjs-backend-webgpu ${manifest.dependencies['@tensorflow/tfjs-backend-webgpu']}`,
    prepare: async ({ operation }: Problem) => {
      if (operation.kind === 'train') return tfjsTraining(operation, look);
      const compute = computeOf(operation);
      return compute === undefined ? undefined : workOf(compute, look);
    },
  };
}

interface Compute {
  readonly run: () => tf.Tensor;
  readonly inputs: readonly tf.Tensor[];
}

function computeOf(operation: Operation): Compute | undefined {
  switch (operation.kind) {
    case 'matmul': {
      const left = tf.tensor(operation.left, [operation.rows, operation.inner]);
      const right = tf.tensor(operation.right, [operation.inner, operation.columns]);
      return { run: () => tf.matMul(left, right), inputs: [left, right] };
    }
    case 'matvec': {
      const weights = tf.tensor(operation.weights, [operation.rows, operation.inner]);
      const vector = tf.tensor(operation.vector, [operation.inner, 1]);
      return { run: () => tf.matMul(weights, vector), inputs: [weights, vector] };
    }
    case 'softmax': {
      const input = tf.tensor(operation.input, [operation.rows, operation.width]);
      return { run: () => tf.softmax(input, -1), inputs: [input] };
    }
    case 'layernorm': {
      const { rows, width, epsilon } = operation;
      const input = tf.tensor(operation.input, [rows, width]);
      const gain = tf.tensor(operation.gain, [width]);
      const bias = tf.tensor(operation.bias, [width]);
      const run = (): tf.Tensor => {
        const { mean, variance } = tf.moments(input, -1, true);
        const scale = tf.rsqrt(tf.add(variance, epsilon));
        return tf.add(tf.mul(tf.mul(tf.sub(input, mean), scale), gain), bias);
      };
      return { run, inputs: [input, gain, bias] };
    }
    default:
      return undefined;
  }
}

function workOf({ run, inputs }: Compute, look: Look): Work {
  let output: tf.Tensor | undefined;
  const last = (): tf.Tensor => present(output, 'nothing was started');
  return {
    start: () => {
      output?.dispose();
      output = tf.tidy(run);
    },
    peek: () => look(last()),
    read: () => last().data(),
    close: () => {
      for (const one of [...inputs, output]) one?.dispose();
    },
  };
}
