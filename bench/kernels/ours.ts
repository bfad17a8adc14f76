/** Our kernels at the problems: tensors resident on a `Device`, dispatches made once, one submit and one read a run. */

import { present } from '../../src/core/assert.ts';
import { copyBytes, viewBytes } from '../../src/core/bytes.ts';
import type { Device, Dispatch } from '../../src/kernels/device.ts';
import { halfBits } from '../../src/kernels/half.ts';
import type { Tensor } from '../../src/kernels/kernel.ts';
import { layerNormDispatch } from '../../src/kernels/layer-norm.ts';
import { matmulDispatch } from '../../src/kernels/matmul.ts';
import { matvecDispatch } from '../../src/kernels/matvec.ts';
import { packQ4_0 } from '../../src/kernels/quant-blocks.ts';
import { quantMatvecDispatch } from '../../src/kernels/quant-matvec.ts';
import { softmaxDispatch } from '../../src/kernels/softmax.ts';
import { at } from '../../src/kernels/truth.ts';
import type { Choices, Family } from '../../src/kernels/variants.ts';
import { createTrainer } from '../../src/learning/trainer.ts';
import { blockSize, type Operation, type Problem, type Q4Matvec, type Train } from './problem.ts';
import type { Library, Work } from './work.ts';

/** What of a tuned device is raced. */
export interface Raced {
  readonly device: Device;
  readonly tuner: Choices & { tune(family: Family, bucket: string): Promise<unknown> };
}

export const oursOn = ({ device, tuner }: Raced): Library => ({
  name: 'ours',
  prepare: async ({ operation }: Problem) => {
    const asked = new Map<string, readonly [Family, string]>();
    const choices: Choices = {
      variantOf: (family, bucket) => {
        asked.set(`${family.name} ${bucket}`, [family, bucket]);
        return tuner.variantOf(family, bucket);
      },
    };
    const open = (): Promise<Work> =>
      operation.kind === 'train'
        ? trainWork({ ...device, choices }, operation)
        : kernelWork({ ...device, choices }, operation);
    // Laying out a problem asks which variants to run; they are tuned as a volunteer's idle time would, and then known.
    (await open()).close();
    for (const [family, bucket] of asked.values()) await tuner.tune(family, bucket);
    return open();
  },
});

async function kernelWork(device: Device, operation: Exclude<Operation, Train>): Promise<Work> {
  const memory = createMemory(device);
  const spoil = memory.put('spoil', Float32Array.of(NaN));
  const { dispatches, output } = dispatchesOf(operation, memory);
  await device.prepare(dispatches.map(({ pipeline }) => pipeline));
  return {
    start: () => device.run(dispatches),
    peek: async () => {
      const seen = device.read(output.buffer, 0, 4);
      // As every other contender's: what is not computed again is found.
      device.copy(spoil.buffer, 0, output.buffer, 0, 4);
      return floats(await seen)[0] ?? NaN;
    },
    read: async () => floats(await device.read(output.buffer)),
    close: memory.close,
  };
}

interface Memory {
  readonly device: Device;
  /** A tensor that holds these values. */
  put(label: string, values: Float32Array | Uint32Array): Tensor;
  /** A zeroed tensor. */
  make(label: string, elements: number): Tensor;
  close(): void;
}

function createMemory(device: Device): Memory {
  const made: Tensor[] = [];
  const make = (label: string, elements: number): Tensor => {
    const tensor = { buffer: device.createBuffer(label, elements * 4) };
    made.push(tensor);
    return tensor;
  };
  return {
    device,
    make,
    put: (label, values) => {
      const tensor = make(label, values.length);
      device.write(tensor.buffer, viewBytes(values));
      return tensor;
    },
    close: () => {
      for (const { buffer } of made) device.free(buffer);
    },
  };
}

/** What one run records, and where its result is. */
interface Made {
  readonly dispatches: readonly Dispatch[];
  readonly output: Tensor;
}

function dispatchesOf(operation: Exclude<Operation, Train>, memory: Memory): Made {
  const { choices } = memory.device;
  switch (operation.kind) {
    case 'matmul': {
      const { rows, columns, inner } = operation;
      const output = memory.make('output', rows * columns);
      const left = memory.put('left', operation.left);
      const right = memory.put('right', operation.right);
      return {
        dispatches: [matmulDispatch({ form: 'NN', left, right, output, rows, columns, inner, choices })],
        output,
      };
    }
    case 'matvec': {
      const { rows: columns, inner } = operation;
      const output = memory.make('output', columns);
      const input = memory.put('vector', operation.vector);
      const weight = memory.put('weights', operation.weights);
      return { dispatches: [matvecDispatch({ input, weight, output, rows: 1, columns, inner, choices })], output };
    }
    case 'q4matvec': {
      const { rows: columns, inner } = operation;
      const { quants, scales } = packQ4_0(ggmlBlocks(operation));
      const output = memory.make('output', columns);
      const product = {
        format: 'q4_0',
        input: memory.put('vector', operation.vector),
        quants: memory.put('quants', quants),
        scales: memory.put('scales', scales),
        output,
        rows: 1,
        columns,
        inner,
        choices,
      } as const;
      return { dispatches: [quantMatvecDispatch(product)], output };
    }
    case 'softmax': {
      const { rows, width } = operation;
      const output = memory.make('output', rows * width);
      const input = memory.put('input', operation.input);
      return { dispatches: [softmaxDispatch({ input, output, rows, width, choices })], output };
    }
    case 'layernorm': {
      const { rows, width, epsilon } = operation;
      const output = memory.make('output', rows * width);
      const norm = {
        input: memory.put('input', operation.input),
        weight: memory.put('gain', operation.gain),
        bias: memory.put('bias', operation.bias),
        output,
        mean: memory.make('mean', rows),
        inverseDeviation: memory.make('inverse deviation', rows),
        rows,
        width,
        epsilon,
        choices,
      };
      return { dispatches: [layerNormDispatch(norm)], output };
    }
  }
}

/** Blocks of 18 bytes as files have them: a half, then the nibbles, those of the second half of the block on top. */
function ggmlBlocks({ quants, scales }: Q4Matvec): Uint8Array {
  const bytes = new Uint8Array(scales.length * 18);
  const view = new DataView(bytes.buffer);
  for (const [block, scale] of scales.entries()) {
    view.setUint16(block * 18, halfBits(scale), true);
    for (let place = 0; place < 16; place++) {
      const first = block * blockSize + place;
      bytes[block * 18 + 2 + place] = at(quants, first) | (at(quants, first + 16) << 4);
    }
  }
  return bytes;
}

/** The whole of a training step: forward, loss, backward, and Adam. */
async function trainWork(device: Device, problem: Train): Promise<Work> {
  const { config, batch, optimizer, parameters, inputs, targets } = problem;
  const trainer = await createTrainer(device, { config, optimizer, batch, lossesMax: 1 });
  trainer.load(viewBytes(parameters));
  trainer.setMoments(undefined);
  const losses = async (): Promise<Float32Array> => trainer.readLosses(1);
  return {
    start: () => trainer.step({ inputs, targets }, optimizer.learningRate, 0),
    peek: async () => present((await losses())[0], 'no loss'),
    read: losses,
    close: () => trainer.close(),
  };
}

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(copyBytes(bytes).buffer);
