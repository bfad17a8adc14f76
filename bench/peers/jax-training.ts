/**
 * A training step of the Llama-shaped network in jax-js, as its users would write it: the loss as a function of a list of
 * parameters, `valueAndGrad`, Adam, and all of it in one `jit`. Same parameters, tokens and optimiser as ours.
 */

import * as jax from '@jax-js/jax';
import { present } from '../../src/core/assert.ts';
import { headWidth, llamaLayout, tensorOf } from '../../src/models/llama-parameters.ts';
import { ropeTable } from '../../src/kernels/rope.ts';
import type { Train } from '../kernels/problem.ts';
import type { Work } from '../kernels/work.ts';

const { numpy: np, nn } = jax;
type Arrays = jax.Array[];

/** What does not change from step to step. */
interface Fixed {
  /** [rows, vocabulary], one in each row. */
  readonly inputs: jax.Array;
  readonly targets: jax.Array;
  /** [length, 1, head width / 2]. */
  readonly cosines: jax.Array;
  readonly sines: jax.Array;
  /** [length, length]: 0 where a position may look, else very negative. */
  readonly mask: jax.Array;
}

export function jaxTraining(problem: Train, peek: (buffer: GPUBuffer) => Promise<number>): Work {
  const { optimizer, config, parameters } = problem;
  const { tensors } = llamaLayout(config);
  let weights = tensors.map((tensor) => np.array(tensorOf(parameters, tensor).slice(), { shape: [...tensor.shape] }));
  let first = tensors.map(({ shape }) => np.zeros([...shape]));
  let second = tensors.map(({ shape }) => np.zeros([...shape]));
  const fixed = fixedOf(problem);
  const step = jax.jit(stepOf(problem));
  let steps = 0;
  let loss: jax.Array | undefined;
  const lossNow = (): jax.Array => present(loss, 'nothing was started');
  return {
    start: async () => {
      steps++;
      const [beta1, beta2] = optimizer.betas;
      const root = Math.sqrt(1 - beta2 ** steps);
      const rate = np.array([(optimizer.learningRate * root) / (1 - beta1 ** steps), optimizer.epsilon * root]);
      loss?.dispose();
      const held = [fixed.inputs, fixed.targets, fixed.cosines, fixed.sines, fixed.mask].map((array) => array.ref);
      [loss, weights, first, second] = step(weights, first, second, rate, held);
      // Asking for the buffers has all of the step issued; reading the loss waits for all of that.
      for (const array of [loss, ...weights, ...first, ...second]) await array.ref.gpuBuffer();
    },
    peek: async () => peek(await lossNow().ref.gpuBuffer()),
    read: () => lossNow().ref.data(),
    close: () => {
      for (const array of [...weights, ...first, ...second, ...Object.values(fixed), loss]) array?.dispose();
    },
  };
}

function fixedOf({ config, inputs, targets }: Train): Fixed {
  const length = config.context;
  const half = headWidth(config) / 2;
  const oneHot = (tokens: Uint32Array): jax.Array =>
    nn.oneHot(np.array(Int32Array.from(tokens), { dtype: np.int32 }), config.vocabulary);
  // Pairs of cosine and sine for each position and frequency.
  const table = ropeTable(length, 2 * half, config.ropeTheta);
  const every = (offset: number): jax.Array =>
    np.array(
      table.filter((_, index) => index % 2 === offset),
      { shape: [length, 1, half] },
    );
  const mask = Float32Array.from({ length: length * length }, (_, index) =>
    index % length <= Math.floor(index / length) ? 0 : -1e9,
  );
  return {
    inputs: oneHot(inputs),
    targets: oneHot(targets),
    cosines: every(0),
    sines: every(1),
    mask: np.array(mask, { shape: [length, length] }),
  };
}

/** Loss and state after one step of Adam; `rate` holds the learning rate and epsilon with bias correction in them. */
function stepOf(problem: Train) {
  const [beta1, beta2] = problem.optimizer.betas;
  const lossAndGradient = jax.valueAndGrad((weights: Arrays, held: Arrays) => lossOf(problem, weights, held));
  return (
    weights: Arrays,
    first: Arrays,
    second: Arrays,
    rate: jax.Array,
    held: Arrays,
  ): [jax.Array, Arrays, Arrays, Arrays] => {
    const [loss, gradients] = lossAndGradient(
      weights.map((weight) => weight.ref),
      held,
    );
    const learningRate = rate.ref.slice(0);
    const epsilon = rate.slice(1);
    const nextFirst: Arrays = [];
    const nextSecond: Arrays = [];
    const nextWeights = weights.map((weight, index) => {
      const gradient = present(gradients[index], 'no gradient');
      const one = present(first[index], 'no moment')
        .mul(beta1)
        .add(gradient.ref.mul(1 - beta1));
      const two = present(second[index], 'no moment')
        .mul(beta2)
        .add(np.square(gradient).mul(1 - beta2));
      nextFirst.push(one.ref);
      nextSecond.push(two.ref);
      return weight.sub(one.div(np.sqrt(two).add(epsilon.ref)).mul(learningRate.ref));
    });
    learningRate.dispose();
    epsilon.dispose();
    return [loss, nextWeights, nextFirst, nextSecond];
  };
}

/** Mean cross-entropy. Weights in the order of `llamaLayout`: embedding, seven matrices a layer, then the gains. */
function lossOf({ config, batch }: Train, weights: Arrays, held: Arrays): jax.Array {
  const { layers, heads, width, context: length, normEpsilon } = config;
  const head = headWidth(config);
  const rows = batch * length;
  const [inputs, targets, cosines, sines, mask] = five(held);
  const weightAt = (index: number): jax.Array => present(weights[index], 'no such weight');
  const project = (input: jax.Array, weight: number): jax.Array => np.matmul(input, weightAt(weight).transpose());
  const normalise = (input: jax.Array, gain: number): jax.Array => {
    const scale = np.sqrt(np.square(input.ref).mean(-1, { keepdims: true }).add(normEpsilon));
    return input.div(scale).mul(weightAt(gain));
  };
  const byHead = (values: jax.Array): jax.Array => values.reshape([batch, length, heads, head]);
  const turn = (values: jax.Array): jax.Array => {
    const pairs = values.reshape([batch, length, heads, head / 2, 2]);
    const even = pairs.ref.slice([], [], [], [], 0);
    const odd = pairs.slice([], [], [], [], 1);
    const turnedEven = even.ref.mul(cosines.ref).sub(odd.ref.mul(sines.ref));
    const turnedOdd = even.mul(sines.ref).add(odd.mul(cosines.ref));
    return np.stack([turnedEven, turnedOdd], -1).reshape([batch, length, heads, head]);
  };
  let stream = np.matmul(inputs, weightAt(0).ref);
  const gains = 1 + 7 * layers;
  for (let layer = 0; layer < layers; layer++) {
    const matrix = 1 + 7 * layer;
    const gain = gains + 2 * layer;
    const input = normalise(stream.ref, gain);
    const query = turn(project(input.ref, matrix)).transpose([0, 2, 1, 3]);
    const key = turn(project(input.ref, matrix + 1)).transpose([0, 2, 3, 1]);
    const value = byHead(project(input, matrix + 2)).transpose([0, 2, 1, 3]);
    const scores = np
      .matmul(query, key)
      .mul(1 / Math.sqrt(head))
      .add(mask.ref);
    const mixed = np.matmul(nn.softmax(scores, -1), value).transpose([0, 2, 1, 3]).reshape([rows, width]);
    stream = stream.add(project(mixed, matrix + 3));
    const middle = normalise(stream.ref, gain + 1);
    const gate = nn.silu(project(middle.ref, matrix + 4));
    stream = stream.add(project(gate.mul(project(middle, matrix + 5)), matrix + 6));
  }
  const logits = np.matmul(normalise(stream, gains + 2 * layers), weightAt(0).transpose());
  for (const array of [cosines, sines, mask]) array.dispose();
  return nn
    .logSoftmax(logits, -1)
    .mul(targets)
    .sum()
    .mul(-1 / rows);
}

function five(arrays: Arrays): [jax.Array, jax.Array, jax.Array, jax.Array, jax.Array] {
  const [a, b, c, d, e] = arrays;
  const what = 'five arrays are held';
  return [present(a, what), present(b, what), present(c, what), present(d, what), present(e, what)];
}
