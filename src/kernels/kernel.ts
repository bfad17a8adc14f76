/**
 * What a kernel is. Each operation is a pair: `shaders/<name>.wgsl` and `src/kernels/<name>.ts`, which exports
 *
 * - `xDispatch({ tensors..., sizes... }): Dispatch`, ready for `Device.run` (`xDispatches` where one operation is several),
 * - `xTruth(...)`, the same formula in f64 on the CPU, `xTolerance` with its reason, and `xCases` for the self-test.
 *
 * Conventions, kept by `src/node/shaders.test.ts` and told in `shaders/README.md`:
 *
 * - Binding 0 is a uniform struct `Arguments`: first the element offset of every tensor in binding order
 *   (`<tensor>_offset`), then the kernel's numbers. So pipelines do not multiply with sizes, and tensors may lie at any
 *   element of a larger buffer, free of WebGPU's 256-byte rule for binding offsets.
 * - Bindings 1, 2, ... are the tensors' whole buffers, in the order of `Kernel.tensors`.
 * - WebGPU lets no dispatch write a buffer that it also binds elsewhere, even at other offsets. So the tensor that a
 *   kernel writes must lie in a buffer of its own, apart from every other tensor of the same dispatch; `dispatchOf`
 *   asserts it. Tensors that are only read may share a buffer. What suits a model: all parameters in one flat buffer,
 *   all gradients in another, each optimiser moment in another, and one buffer for each activation (and one for each
 *   activation's gradient), made once per program.
 */

import { assert, present } from '../core/assert.ts';
import type { Binding, DeviceBuffer, Dispatch, Pipeline } from './device.ts';
import { gridOf, type Grid } from './grid.ts';
import { shaderSource } from './sources.ts';

/** A row-major tensor of 4-byte elements (f32, or u32 or i32 where told), from element `offset` of a buffer; default 0. */
export interface Tensor {
  readonly buffer: DeviceBuffer;
  readonly offset?: number;
}

export interface KernelTensor<Name extends string> {
  readonly name: Name;
  /** `write` is `read_write` in WGSL. */
  readonly access: 'read' | 'write';
  readonly holds: 'f32' | 'u32' | 'i32';
}

export interface KernelNumber<Name extends string> {
  readonly name: Name;
  readonly type: 'f32' | 'u32';
}

/** One entry point of one shader, with what it binds. */
export interface Kernel<Tensors extends string = string, Numbers extends string = string> {
  /** The shader's file name, and after a dot the entry point when it is not `main`. */
  readonly name: string;
  readonly pipeline: Pipeline;
  /** In the order of bindings 1, 2, ... */
  readonly tensors: readonly KernelTensor<Tensors>[];
  /** In the order of the uniform struct, after the tensors' offsets. */
  readonly numbers: readonly KernelNumber<Numbers>[];
}

/** A tensor as `name`, `name:u32`, `name:i32`, or with `>` before it when it is written. */
type TensorText<Name extends string> = `${'' | '>'}${Name}${'' | ':u32' | ':i32'}`;
type NumberText<Name extends string> = `${Name}${'' | ':f32'}`;
type TensorName<Text extends string> = Text extends `>${infer Rest}`
  ? TensorName<Rest>
  : Text extends `${infer Name}:${'u32' | 'i32'}`
    ? Name
    : Text;
type NumberName<Text extends string> = Text extends `${infer Name}:f32` ? Name : Text;

/**
 * Declares a kernel. Tensors are f32 and read unless said: `'>output'` is written, `'tokens:u32'` holds u32, `':i32'` i32.
 * Numbers are u32 unless said: `'epsilon:f32'`.
 */
export function defineKernel<T extends string, N extends string>(declaration: {
  readonly shader: string;
  /** Files of `shaders/parts/` whose text goes before the shader's: what several shaders or variants share. */
  readonly parts?: readonly string[];
  readonly entryPoint?: string;
  readonly tensors: readonly (T & TensorText<string>)[];
  readonly numbers: readonly (N & NumberText<string>)[];
  readonly constants?: Readonly<Record<string, number>>;
}): Kernel<TensorName<T>, NumberName<N>> {
  const { shader, parts = [], entryPoint = 'main', constants } = declaration;
  const name = entryPoint === 'main' ? shader : `${shader}.${entryPoint}`;
  return {
    name,
    pipeline: { label: name, wgsl: shaderSource(shader, parts), entryPoint, ...(constants && { constants }) },
    tensors: declaration.tensors.map((text: string) => ({
      name: text.replace(/^>|:[ui]32$/g, '') as TensorName<T>,
      access: text.startsWith('>') ? 'write' : 'read',
      holds: text.endsWith(':u32') ? 'u32' : text.endsWith(':i32') ? 'i32' : 'f32',
    })),
    numbers: declaration.numbers.map((text: string) => ({
      name: text.replace(':f32', '') as NumberName<N>,
      type: text.endsWith(':f32') ? 'f32' : 'u32',
    })),
  };
}

/** One run of a kernel on these tensors. Throws `InvariantError` when a written buffer is bound twice or a size is no whole number. */
export function dispatchOf<T extends string, N extends string>(
  kernel: Kernel<T, N>,
  tensors: Readonly<Record<T, Tensor>>,
  numbers: Readonly<Record<N, number>>,
  grid: Grid,
): Dispatch {
  const bound = kernel.tensors.map(({ name, access }) => ({ name, access, tensor: tensors[name] }));
  for (const { name, access, tensor } of bound) {
    if (access === 'read') continue;
    const other = bound.find((candidate) => candidate.name !== name && candidate.tensor.buffer === tensor.buffer);
    assert(
      other === undefined,
      `${kernel.name}: '${name}' is written and shares buffer '${tensor.buffer.label}' with '${other?.name}'; give them buffers of their own`,
    );
  }
  const bindings: Binding[] = bound.map(({ access, tensor }, index) => ({
    binding: index + 1,
    buffer: tensor.buffer,
    access,
  }));
  return {
    pipeline: kernel.pipeline,
    bindings: [{ binding: 0, uniform: packUniform(kernel, tensors, numbers) }, ...bindings],
    grid,
  };
}

/**
 * Changes one number of a dispatch of this kernel in place, so that a list is built once and moves on from step to step.
 * Dispatches that were handed to `Device.run` before keep the number that they had.
 */
export function setNumber<T extends string, N extends string>(
  dispatch: Dispatch,
  kernel: Kernel<T, N>,
  name: N,
  value: number,
): void {
  const [first] = dispatch.bindings;
  const index = kernel.numbers.findIndex((number) => number.name === name);
  assert(dispatch.pipeline === kernel.pipeline && index >= 0, `${kernel.name}: no dispatch of it has ${name}`);
  assert(first !== undefined && 'uniform' in first, `${kernel.name}: binding 0 is not its uniform`);
  const { buffer, byteOffset } = first.uniform;
  const at = byteOffset + (kernel.tensors.length + index) * 4;
  if (kernel.numbers[index]?.type === 'u32') new DataView(buffer).setUint32(at, value, true);
  else new DataView(buffer).setFloat32(at, value, true);
}

/** The bytes of binding 0: offsets of the tensors, then the numbers, filled up to 16 bytes as uniform structs want. */
function packUniform<T extends string, N extends string>(
  kernel: Kernel<T, N>,
  tensors: Readonly<Record<T, Tensor>>,
  numbers: Readonly<Record<N, number>>,
): Uint8Array {
  const words = kernel.tensors.length + kernel.numbers.length;
  const view = new DataView(new ArrayBuffer(Math.ceil(words / 4) * 16));
  const setWhole = (word: number, name: string, value: number): void => {
    assert(
      Number.isInteger(value) && value >= 0 && value <= 0xffffffff,
      `${kernel.name}: ${name} is ${value}; it must be a whole number that fits 32 bits`,
    );
    view.setUint32(word * 4, value, true);
  };
  kernel.tensors.forEach(({ name }, index) => setWhole(index, `offset of ${name}`, tensors[name].offset ?? 0));
  kernel.numbers.forEach(({ name, type }, index) => {
    const word = kernel.tensors.length + index;
    const value = present(numbers[name], `${kernel.name}: ${name} is missing`);
    if (type === 'u32') setWhole(word, name, value);
    else view.setFloat32(word * 4, value, true);
  });
  return new Uint8Array(view.buffer);
}

/** Invocations of a workgroup: the default of `workgroup_size` in shaders with an invocation for each element. */
export const elementInvocations = 64;

/** The same in shaders that give each row (of a matrix, of a head) a workgroup. */
export const rowInvocations = 32;

export const elementGrid = (count: number): Grid => gridOf(count, elementInvocations);

/** For shaders whose invocations take every so-many-th element: enough of them to fill a large GPU, and no more. */
export const stridedGrid = (count: number): Grid => [
  Math.max(1, Math.min(2048, Math.ceil(count / elementInvocations))),
  1,
  1,
];

/** Whether a shader that works on four elements at once suits: a whole number of fours, at multiples of four. */
export const inFours = (count: number, ...tensors: readonly Tensor[]): boolean =>
  count % 4 === 0 && tensors.every(({ offset = 0 }) => offset % 4 === 0);

export const rowGrid = (rows: number): Grid => gridOf(rows, 1);
