/** The program of kernels against the f64 network, on Dawn in Node where `TABSWARM_NODE_GPU=1` says that a GPU is at hand. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyBytes, viewBytes } from '../core/bytes.ts';
import { createRandom } from '../core/prng.ts';
import { ropeTable } from '../kernels/rope.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { openNodeGpu } from '../node/open-gpu.ts';
import { openDevice, type OpenedDevice } from '../adapters/gpu/device.ts';
import { createArena } from './arena.ts';
import { createBackward } from './llama-backward.ts';
import { initialParameters, headWidth, llamaLayout } from './llama-parameters.ts';
import { gradientTruth } from './llama-truth.ts';
import { createForward, createLoss } from './llama.ts';

const seed = 11;
const configs: readonly ModelConfig[] = [
  {
    architecture: 'llama',
    layers: 2,
    width: 24,
    hidden: 30,
    heads: 3,
    keyValueHeads: 1,
    vocabulary: 37,
    context: 19,
    ropeTheta: 100,
    normEpsilon: 1e-5,
  },
  {
    architecture: 'llama',
    layers: 2,
    width: 32,
    hidden: 88,
    heads: 4,
    keyValueHeads: 4,
    vocabulary: 256,
    context: 32,
    ropeTheta: 10_000,
    normEpsilon: 1e-5,
  },
];

describe.skipIf(process.env['TABSWARM_NODE_GPU'] !== '1')('the network on the GPU', () => {
  let opened: OpenedDevice;
  beforeAll(async () => {
    opened = await openDevice(await openNodeGpu());
  });
  afterAll(() => opened.close());

  test.each(configs)(
    'its loss and whole gradient are those of the f64 network ($width wide, seed 11)',
    async (config) => {
      const { device } = opened;
      const random = createRandom(seed, 1);
      const [batch, length] = [3, config.context];
      const parameters = Float32Array.from(initialParameters(config, seed), (x) => x + 0.1 * random.normal());
      const draw = () => Uint32Array.from({ length: batch * length }, () => random.below(config.vocabulary));
      const [inputs, targets] = [draw(), draw()];
      const arena = createArena(device, 'test');
      const { elements } = llamaLayout(config);
      const weights = {
        parameters: arena.tensor('parameters', elements),
        rope: arena.tensor('rope', config.context * headWidth(config)),
      };
      const gradients = arena.tensor('gradients', elements);
      const sums = arena.tensor('sums', 2);
      const forward = createForward(arena, weights, { config, batch, length });
      const loss = createLoss(arena, forward);
      const backward = createBackward(arena, forward, gradients);
      device.write(weights.parameters.buffer, viewBytes(parameters));
      device.write(weights.rope.buffer, viewBytes(ropeTable(config.context, headWidth(config), config.ropeTheta)));
      device.write(forward.tokens.buffer, viewBytes(inputs));
      device.write(loss.targets.buffer, viewBytes(targets));
      await device.run([...forward.dispatches, ...loss.dispatches(sums, 1), ...backward]);
      const read = async (tensor: { buffer: typeof sums.buffer }) =>
        new Float32Array(copyBytes(await device.read(tensor.buffer)).buffer);
      const truth = gradientTruth(config, parameters, { inputs, targets, batch, length });
      expect(((await read(sums))[1] ?? 0) / (batch * length)).toBeCloseTo(truth.loss, 5);
      const got = await read(gradients);
      const scale = Math.sqrt(truth.gradient.reduce((sum, x) => sum + x * x, 0) / elements);
      const worst = truth.gradient.reduce((most, x, index) => Math.max(most, Math.abs(x - (got[index] ?? NaN))), 0);
      expect(worst / scale).toBeLessThan(1e-3);
      arena.free();
    },
    120_000,
  );
});
