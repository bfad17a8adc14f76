// What this folder uses of the peers' types. The packages are installed when they are first raced, and the project must
// type-check without them; these declarations stand in for theirs.

declare module '@jax-js/jax' {
  /** Functions own their arguments: an array that is needed again is passed as `array.ref`. */
  export class Array {
    readonly ref: this;
    readonly shape: number[];
    add(other: Array | number): Array;
    sub(other: Array | number): Array;
    mul(other: Array | number): Array;
    div(other: Array | number): Array;
    neg(): Array;
    sum(axis?: number | readonly number[] | null, options?: { readonly keepdims?: boolean }): Array;
    mean(axis?: number | readonly number[] | null, options?: { readonly keepdims?: boolean }): Array;
    reshape(shape: readonly number[]): Array;
    transpose(order?: readonly number[]): Array;
    slice(...indices: (number | readonly [] | readonly [number, number] | Array | null)[]): Array;
    data(): Promise<Float32Array>;
    gpuBuffer(): Promise<GPUBuffer>;
    blockUntilReady(): Promise<Array>;
    dispose(): void;
  }
  interface DType {
    readonly __dtype: never;
  }
  export const numpy: {
    readonly float32: DType;
    readonly int32: DType;
    array(values: Float32Array | Int32Array | readonly number[], options?: { shape?: number[]; dtype?: DType }): Array;
    zeros(shape: readonly number[]): Array;
    matmul(left: Array, right: Array): Array;
    matvec(left: Array, right: Array): Array;
    dot(left: Array, right: Array): Array;
    exp(values: Array): Array;
    sqrt(values: Array): Array;
    square(values: Array): Array;
    concatenate(values: readonly Array[], axis?: number): Array;
    where(condition: Array, then: Array | number, otherwise: Array | number): Array;
    split(values: Array, sections: number, axis?: number): Array[];
    stack(values: readonly Array[], axis?: number): Array;
    tril(values: Array): Array;
  };
  export const nn: {
    silu(values: Array): Array;
    softmax(values: Array, axis?: number): Array;
    logSoftmax(values: Array, axis?: number): Array;
    standardize(values: Array, axis?: number, options?: { epsilon?: number }): Array;
    oneHot(values: Array, classes: number): Array;
  };
  export function init(...devices: string[]): Promise<string[]>;
  export function defaultDevice(device: string): string;
  export function getWebGPUDevice(): GPUDevice;
  export function jit<F extends (...values: never[]) => unknown>(run: F): F;
  export function valueAndGrad<P extends readonly Array[], Rest extends readonly unknown[]>(
    loss: (parameters: P, ...rest: Rest) => Array,
  ): (parameters: P, ...rest: Rest) => [Array, P];
}

declare module '@tensorflow/tfjs-core' {
  export interface Tensor {
    readonly dataId: object;
    readonly shape: number[];
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  export function setBackend(name: string): Promise<boolean>;
  export function ready(): Promise<void>;
  export function backend(): unknown;
  export function tensor(
    values: Float32Array | Int32Array,
    shape: readonly number[],
    type?: 'float32' | 'int32',
  ): Tensor;
  export function tidy<T>(run: () => T): T;
  export function keep(value: Tensor): Tensor;
  export function matMul(left: Tensor, right: Tensor, transposeLeft?: boolean, transposeRight?: boolean): Tensor;
  export function softmax(logits: Tensor, axis?: number): Tensor;
  export function logSoftmax(logits: Tensor, axis?: number): Tensor;
  export function moments(values: Tensor, axis: number, keepDims: boolean): { mean: Tensor; variance: Tensor };
  export function add(left: Tensor, right: Tensor | number): Tensor;
  export function sub(left: Tensor, right: Tensor | number): Tensor;
  export function mul(left: Tensor, right: Tensor | number): Tensor;
  export function div(left: Tensor, right: Tensor | number): Tensor;
  export function neg(values: Tensor): Tensor;
  export function sqrt(values: Tensor): Tensor;
  export function rsqrt(values: Tensor): Tensor;
  export function square(values: Tensor): Tensor;
  export function sigmoid(values: Tensor): Tensor;
  export function mean(values: Tensor, axis?: number, keepDims?: boolean): Tensor;
  export function sum(values: Tensor, axis?: number, keepDims?: boolean): Tensor;
  export function reshape(values: Tensor, shape: readonly number[]): Tensor;
  export function transpose(values: Tensor, order?: readonly number[]): Tensor;
  export function split(values: Tensor, sections: number, axis?: number): Tensor[];
  export function concat(values: readonly Tensor[], axis?: number): Tensor;
  export function stack(values: readonly Tensor[], axis?: number): Tensor;
  export function unstack(values: Tensor, axis?: number): Tensor[];
  export function gather(values: Tensor, indices: Tensor): Tensor;
  export function oneHot(indices: Tensor, depth: number): Tensor;
  export function valueAndGrads(
    run: (...values: Tensor[]) => Tensor,
  ): (values: readonly Tensor[]) => { value: Tensor; grads: Tensor[] };
}

declare module '@tensorflow/tfjs-core/dist/register_all_gradients.js';

declare module '@tensorflow/tfjs-backend-webgpu' {
  export class WebGPUBackend {
    readonly device: GPUDevice;
    readonly tensorMap: { get(dataId: object): { resource?: GPUBuffer } };
    ensureCommandEncoderReady(): void;
    endComputePassEncoder(): void;
    submitQueue(): void;
  }
}

declare module 'onnxruntime-web/webgpu' {
  export class Tensor {
    static fromGpuBuffer(buffer: GPUBuffer, options: { dataType: 'float32'; dims: readonly number[] }): Tensor;
    readonly gpuBuffer: GPUBuffer;
    getData(): Promise<unknown>;
    dispose(): void;
  }
  export class InferenceSession {
    static create(
      model: Uint8Array,
      options: { executionProviders: readonly string[]; preferredOutputLocation: 'gpu-buffer' },
    ): Promise<InferenceSession>;
    run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
    release(): Promise<void>;
  }
  export const env: {
    logLevel: string;
    readonly wasm: { numThreads: number; wasmPaths?: { readonly wasm: string } };
    readonly webgpu: { readonly device: Promise<GPUDevice> | GPUDevice };
    readonly versions: { readonly web?: string };
  };
}

declare module 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url' {
  const url: string;
  export default url;
}
