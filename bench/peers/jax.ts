/** jax-js at the problems. It is lazy: nothing is computed until somebody asks for an array's buffer. */

import * as jax from '@jax-js/jax';
import type { Operation, Problem } from '../kernels/problem.ts';
import type { Library, Work } from '../kernels/work.ts';
import { jaxTraining } from './jax-training.ts';
import { createPeek } from './peek.ts';
import manifest from './package.json';

const { numpy: np, nn } = jax;

export async function openJax(): Promise<Library> {
  const devices = await jax.init('webgpu');
  if (!devices.includes('webgpu')) throw new Error('jax-js found no WebGPU');
  jax.defaultDevice('webgpu');
  const peek = createPeek(jax.getWebGPUDevice());
  return {
    name: `@jax-js/jax ${manifest.dependencies['@jax-js/jax']}`,
    prepare: async ({ operation }: Problem) => {
      if (operation.kind === 'train') return jaxTraining(operation, peek);
      const compute = computeOf(operation);
      return compute === undefined ? undefined : workOf(compute, peek);
    },
  };
}

const array = (values: Float32Array, ...shape: number[]): jax.Array => np.array(values, { shape });

interface Compute {
  readonly run: () => jax.Array;
  readonly inputs: readonly jax.Array[];
}

function computeOf(operation: Operation): Compute | undefined {
  switch (operation.kind) {
    case 'matmul': {
      const left = array(operation.left, operation.rows, operation.inner);
      const right = array(operation.right, operation.inner, operation.columns);
      return { run: () => np.matmul(left.ref, right.ref), inputs: [left, right] };
    }
    case 'matvec': {
      const weights = array(operation.weights, operation.rows, operation.inner);
      const vector = array(operation.vector, operation.inner);
      return { run: () => np.matvec(weights.ref, vector.ref), inputs: [weights, vector] };
    }
    case 'softmax': {
      const input = array(operation.input, operation.rows, operation.width);
      const softmax = jax.jit((values: jax.Array) => nn.softmax(values, -1));
      return { run: () => softmax(input.ref), inputs: [input] };
    }
    case 'layernorm': {
      const { rows, width, epsilon } = operation;
      const input = array(operation.input, rows, width);
      const gain = array(operation.gain, width);
      const bias = array(operation.bias, width);
      const norm = jax.jit((values: jax.Array, scale: jax.Array, shift: jax.Array) =>
        nn.standardize(values, -1, { epsilon }).mul(scale).add(shift),
      );
      return { run: () => norm(input.ref, gain.ref, bias.ref), inputs: [input, gain, bias] };
    }
    default:
      return undefined;
  }
}

function workOf({ run, inputs }: Compute, peek: (buffer: GPUBuffer) => Promise<number>): Work {
  let output: jax.Array | undefined;
  const last = (): jax.Array => {
    if (output === undefined) throw new Error('nothing was started');
    return output;
  };
  return {
    start: async () => {
      output?.dispose();
      output = run();
      // Issues it, or the next start would dispose of work that nobody has done.
      await output.ref.gpuBuffer();
    },
    peek: async () => peek(await last().ref.gpuBuffer()),
    read: () => last().ref.data(),
    close: () => {
      for (const one of [...inputs, output]) one?.dispose();
    },
  };
}
