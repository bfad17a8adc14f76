/** Faults that a browser or driver could make when it compiles a kernel, made on purpose. Data only: the test's Node reads it too. */

/** One small change to a shader, as a browser that miscompiles would make it. */
export interface Miscompile {
  readonly kernel: string;
  readonly from: string;
  readonly to: string;
}

export const miscompiles: readonly Miscompile[] = [
  { kernel: 'matmul', from: 'inner < args.inner', to: 'inner + 1u < args.inner' },
  { kernel: 'matvec', from: 'fma(four, four, squares)', to: 'fma(four, four, vec4f())' },
  { kernel: 'matmul_tiled', from: 'start += slice', to: 'start += slice + 1u' },
  { kernel: 'rms_norm', from: '+ args.epsilon', to: '' },
  { kernel: 'attention', from: 'weight_sum * keep', to: 'weight_sum' },
  { kernel: 'adamw', from: '1.0 - args.learning_rate * args.weight_decay', to: '1.0' },
  { kernel: 'argmax', from: 'places[other] < best_place', to: 'places[other] > best_place' },
  { kernel: 'sample', from: 'round < 10u', to: 'round < 9u' },
];
