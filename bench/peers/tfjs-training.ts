/** The training step of `jax-training.ts` in TensorFlow.js: `valueAndGrads` and Adam written out, tensor by tensor. */

import * as tf from '@tensorflow/tfjs-core';
import { present } from '../../src/core/assert.ts';
import { ropeTable } from '../../src/kernels/rope.ts';
import { headWidth, llamaLayout, tensorOf } from '../../src/models/llama-parameters.ts';
import type { Train } from '../kernels/problem.ts';
import type { Work } from '../kernels/work.ts';
import type { Look } from './tfjs.ts';

interface Fixed {
  /** [rows, vocabulary], one in each row. */
  readonly inputs: tf.Tensor;
  readonly targets: tf.Tensor;
  /** [length, 1, head width / 2]. */
  readonly cosines: tf.Tensor;
  readonly sines: tf.Tensor;
  /** [length, length]: 0 where a position may look, else very negative. */
  readonly mask: tf.Tensor;
}

export function tfjsTraining(problem: Train, look: Look): Work {
  const { optimizer, config, parameters } = problem;
  const { tensors } = llamaLayout(config);
  const [beta1, beta2] = optimizer.betas;
  let weights = tensors.map((tensor) => tf.tensor(tensorOf(parameters, tensor).slice(), tensor.shape));
  let first = tensors.map(({ shape, elements }) => tf.tensor(new Float32Array(elements), shape));
  let second = tensors.map(({ shape, elements }) => tf.tensor(new Float32Array(elements), shape));
  const fixed = fixedOf(problem);
  const lossAndGradients = tf.valueAndGrads((...values) => lossOf(problem, values, fixed));
  let loss: tf.Tensor | undefined;
  let steps = 0;
  const dispose = (): void => {
    for (const tensor of [...weights, ...first, ...second, loss]) tensor?.dispose();
  };
  return {
    start: () => {
      steps++;
      const root = Math.sqrt(1 - beta2 ** steps);
      const rate = (optimizer.learningRate * root) / (1 - beta1 ** steps);
      const next = tf.tidy(() => {
        const { value, grads } = lossAndGradients(weights);
        const one = first.map((moment, index) =>
          tf.add(tf.mul(moment, beta1), tf.mul(present(grads[index], 'no gradient'), 1 - beta1)),
        );
        const two = second.map((moment, index) =>
          tf.add(tf.mul(moment, beta2), tf.mul(tf.square(present(grads[index], 'no gradient')), 1 - beta2)),
        );
        const moved = weights.map((weight, index) => {
          const divisor = tf.add(tf.sqrt(present(two[index], 'no moment')), optimizer.epsilon * root);
          return tf.sub(weight, tf.mul(tf.div(present(one[index], 'no moment'), divisor), rate));
        });
        for (const tensor of [value, ...one, ...two, ...moved]) tf.keep(tensor);
        return { value, one, two, moved };
      });
      dispose();
      loss = next.value;
      [weights, first, second] = [next.moved, next.one, next.two];
    },
    peek: () => look(present(loss, 'nothing was started')),
    read: () => present(loss, 'nothing was started').data(),
    close: () => {
      dispose();
      for (const tensor of Object.values(fixed)) tensor.dispose();
    },
  };
}

function fixedOf({ config, inputs, targets }: Train): Fixed {
  const length = config.context;
  const half = headWidth(config) / 2;
  const oneHot = (tokens: Uint32Array): tf.Tensor => {
    const hot = new Float32Array(tokens.length * config.vocabulary);
    tokens.forEach((token, row) => (hot[row * config.vocabulary + token] = 1));
    return tf.tensor(hot, [tokens.length, config.vocabulary]);
  };
  const table = ropeTable(length, 2 * half, config.ropeTheta);
  const every = (offset: number): tf.Tensor =>
    tf.tensor(
      table.filter((_, index) => index % 2 === offset),
      [length, 1, half],
    );
  const mask = Float32Array.from({ length: length * length }, (_, index) =>
    index % length <= Math.floor(index / length) ? 0 : -1e9,
  );
  return {
    inputs: oneHot(inputs),
    targets: oneHot(targets),
    cosines: every(0),
    sines: every(1),
    mask: tf.tensor(mask, [length, length]),
  };
}

/** Mean cross-entropy. Weights in the order of `llamaLayout`: embedding, seven matrices a layer, then the gains. */
function lossOf({ config, batch }: Train, weights: readonly tf.Tensor[], fixed: Fixed): tf.Tensor {
  const { layers, heads, width, context: length, normEpsilon } = config;
  const head = headWidth(config);
  const rows = batch * length;
  const weightAt = (index: number): tf.Tensor => present(weights[index], 'no such weight');
  const project = (input: tf.Tensor, weight: number): tf.Tensor => tf.matMul(input, weightAt(weight), false, true);
  const normalise = (input: tf.Tensor, gain: number): tf.Tensor => {
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(input), -1, true), normEpsilon));
    return tf.mul(tf.mul(input, scale), weightAt(gain));
  };
  const byHead = (values: tf.Tensor): tf.Tensor => tf.reshape(values, [batch, length, heads, head]);
  const turn = (values: tf.Tensor): tf.Tensor => {
    const pairs = tf.reshape(values, [batch, length, heads, head / 2, 2]);
    const [even, odd] = tf.split(pairs, 2, 4).map((part) => tf.reshape(part, [batch, length, heads, head / 2]));
    const [x, y] = [present(even, 'even'), present(odd, 'odd')];
    const turnedEven = tf.sub(tf.mul(x, fixed.cosines), tf.mul(y, fixed.sines));
    const turnedOdd = tf.add(tf.mul(x, fixed.sines), tf.mul(y, fixed.cosines));
    return tf.reshape(tf.stack([turnedEven, turnedOdd], 4), [batch, length, heads, head]);
  };
  let stream = tf.matMul(fixed.inputs, weightAt(0));
  const gains = 1 + 7 * layers;
  for (let layer = 0; layer < layers; layer++) {
    const matrix = 1 + 7 * layer;
    const gain = gains + 2 * layer;
    const input = normalise(stream, gain);
    const query = tf.transpose(turn(project(input, matrix)), [0, 2, 1, 3]);
    const key = tf.transpose(turn(project(input, matrix + 1)), [0, 2, 1, 3]);
    const value = tf.transpose(byHead(project(input, matrix + 2)), [0, 2, 1, 3]);
    const scores = tf.add(tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(head)), fixed.mask);
    const mixed = tf.transpose(tf.matMul(tf.softmax(scores, -1), value), [0, 2, 1, 3]);
    stream = tf.add(stream, project(tf.reshape(mixed, [rows, width]), matrix + 3));
    const middle = normalise(stream, gain + 1);
    const gate = project(middle, matrix + 4);
    const gated = tf.mul(tf.mul(gate, tf.sigmoid(gate)), project(middle, matrix + 5));
    stream = tf.add(stream, project(gated, matrix + 6));
  }
  const logits = tf.matMul(normalise(stream, gains + 2 * layers), weightAt(0), false, true);
  return tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits, -1), fixed.targets)), -1 / rows);
}
