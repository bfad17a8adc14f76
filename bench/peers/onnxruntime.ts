/** onnxruntime-web on WebGPU at the problems: one model of one node each, inputs and outputs in GPU buffers. */

import * as ort from 'onnxruntime-web/webgpu';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import { present } from '../../src/core/assert.ts';
import { blockSize, type Operation, type Problem, type Q4Matvec } from '../kernels/problem.ts';
import type { Library, Work } from '../kernels/work.ts';
import { onnxModel, type OnnxNode } from './onnx-model.ts';
import manifest from './package.json';
import { createPeek } from './peek.ts';

export async function openOnnxruntime(): Promise<Library> {
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: wasmUrl };
  return {
    name: `onnxruntime-web ${manifest.dependencies['onnxruntime-web']}`,
    prepare: async ({ operation }: Problem) => {
      const model = modelOf(operation);
      return model === undefined ? undefined : workOf(model);
    },
  };
}

interface Model {
  readonly node: OnnxNode;
  /** What the node's inputs hold, in their order. */
  readonly values: readonly Float32Array[];
}

function modelOf(operation: Operation): Model | undefined {
  switch (operation.kind) {
    case 'matmul': {
      const { rows, columns, inner, left, right } = operation;
      return {
        node: {
          operator: 'MatMul',
          attributes: {},
          inputs: [
            { name: 'left', shape: [rows, inner] },
            { name: 'right', shape: [inner, columns] },
          ],
          weights: [],
          output: { name: 'output', shape: [rows, columns] },
        },
        values: [left, right],
      };
    }
    case 'matvec': {
      const { rows, inner, weights, vector } = operation;
      return {
        node: {
          operator: 'Gemm',
          attributes: { transB: { int: 1 } },
          inputs: [{ name: 'vector', shape: [1, inner] }],
          weights: [{ name: 'weights', shape: [rows, inner], values: weights }],
          output: { name: 'output', shape: [1, rows] },
        },
        values: [vector],
      };
    }
    case 'q4matvec':
      return { node: q4Node(operation), values: [operation.vector] };
    case 'softmax': {
      const { rows, width, input } = operation;
      return {
        node: {
          operator: 'Softmax',
          attributes: { axis: { int: 1 } },
          inputs: [{ name: 'input', shape: [rows, width] }],
          weights: [],
          output: { name: 'output', shape: [rows, width] },
        },
        values: [input],
      };
    }
    case 'layernorm': {
      const { rows, width, input, gain, bias, epsilon } = operation;
      return {
        node: {
          operator: 'LayerNormalization',
          attributes: { axis: { int: 1 }, epsilon: { float: epsilon } },
          inputs: [{ name: 'input', shape: [rows, width] }],
          weights: [
            { name: 'gain', shape: [width], values: gain },
            { name: 'bias', shape: [width], values: bias },
          ],
          output: { name: 'output', shape: [rows, width] },
        },
        values: [input],
      };
    }
    case 'train':
      return undefined;
  }
}

/** Two quants a byte, the first in the low half; without zero points 8 is taken from each. */
function q4Node({ rows, inner, quants, scales }: Q4Matvec): OnnxNode {
  const packed = Uint8Array.from(
    { length: quants.length / 2 },
    (_, index) => (quants[2 * index] ?? 0) | ((quants[2 * index + 1] ?? 0) << 4),
  );
  const blocks = inner / blockSize;
  return {
    operator: 'MatMulNBits',
    domain: 'com.microsoft',
    attributes: { K: { int: inner }, N: { int: rows }, bits: { int: 4 }, block_size: { int: blockSize } },
    inputs: [{ name: 'vector', shape: [1, inner] }],
    weights: [
      { name: 'weights', shape: [rows, blocks, blockSize / 2], values: packed },
      { name: 'scales', shape: [rows * blocks], values: scales },
    ],
    output: { name: 'output', shape: [1, rows] },
  };
}

async function workOf({ node, values }: Model): Promise<Work> {
  const session = await ort.InferenceSession.create(onnxModel(node), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  });
  const device = await ort.env.webgpu.device;
  const peek = createPeek(device);
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffers = values.map((array) => {
    const buffer = device.createBuffer({ size: array.byteLength, usage: STORAGE | COPY_SRC | COPY_DST });
    device.queue.writeBuffer(buffer, 0, array.slice());
    return buffer;
  });
  const feeds = Object.fromEntries(
    node.inputs.map(({ name, shape }, index) => [
      name,
      ort.Tensor.fromGpuBuffer(present(buffers[index], name), { dataType: 'float32', dims: shape }),
    ]),
  );
  let output: ort.Tensor | undefined;
  const last = (): ort.Tensor => present(output, 'nothing was started');
  return {
    start: async () => {
      output?.dispose();
      output = present((await session.run(feeds))[node.output.name], 'no output');
    },
    peek: () => peek(last().gpuBuffer),
    read: async () => {
      const data = await last().getData();
      if (!(data instanceof Float32Array)) throw new Error('the output is not f32');
      return data;
    },
    close: () => {
      output?.dispose();
      void session.release();
      for (const buffer of buffers) buffer.destroy();
    },
  };
}
