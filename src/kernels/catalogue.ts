/** Every kernel with its shader's declaration, and every case of the self-test, from one seed. */

import { createRandom, type Random } from '../core/prng.ts';
import { adamwCases, adamwKernels } from './adamw.ts';
import { attentionDecodeCases, attentionDecodeKernels } from './attention-decode.ts';
import { attentionCases, attentionKernels } from './attention.ts';
import { ceilingKernels } from './ceilings.ts';
import { crossEntropyCases, crossEntropyKernels } from './cross-entropy.ts';
import { embeddingPartCases, embeddingPartKernels } from './embedding-part.ts';
import { embeddingCases, embeddingKernels } from './embedding.ts';
import { exactCases } from './exact-cases.ts';
import { exactKernels } from './exact.ts';
import { geluCases, geluKernels } from './gelu.ts';
import type { Kernel } from './kernel.ts';
import { layerNormCases, layerNormKernels } from './layer-norm.ts';
import { matmulCases } from './matmul-cases.ts';
import { matmulKernels } from './matmul.ts';
import { matvecCases } from './matvec-cases.ts';
import { matvecKernels, matvecVariants } from './matvec.ts';
import { quantMatmulCases, quantMatmulKernels } from './quant-matmul.ts';
import { quantMatvecCases, quantMatvecKernels } from './quant-matvec.ts';
import { numericProbeKernels } from './numeric-class.ts';
import { columnSumCases, columnSumKernels } from './reduce-columns.ts';
import { reduceCases, reduceKernels } from './reduce.ts';
import { rmsNormCases, rmsNormKernels } from './rms-norm.ts';
import { ropeStoreCases, ropeStoreKernels } from './rope-store.ts';
import { ropeCases, ropeKernels } from './rope.ts';
import { sampleCases, sampleKernels } from './sample.ts';
import { siluGateCases, siluGateKernels } from './silu-gate.ts';
import { softmaxCases, softmaxKernels } from './softmax.ts';
import { ssmCases, ssmKernels } from './ssm.ts';
import { int8Kernels, int8MatmulCases } from './int8-matmul.ts';
import { dctCases, dctKernels } from './dct.ts';
import { globalNormCases, globalNormKernels } from './global-norm.ts';
import { nadamCases, nadamKernels } from './nadam.ts';
import { e3m0Cases, e3m0Kernels } from './quantise-e3m0.ts';
import { quantiseInt8Cases, quantiseInt8Kernels } from './quantise-int8.ts';
import { uint8Cases, uint8Kernels } from './quantise-uint8.ts';
import { sgdCases, sgdKernels } from './sgd.ts';
import { topKCases, topKKernels } from './top-k.ts';
import { topLogitsCases, topLogitsKernels } from './top-logits.ts';
import type { KernelCase } from './test-case.ts';
import { vectorCases, vectorKernels } from './vector.ts';

export const kernels: readonly Pick<Kernel, 'name' | 'pipeline' | 'tensors' | 'numbers'>[] = [
  ...embeddingKernels,
  ...matmulKernels,
  ...matvecKernels,
  ...rmsNormKernels,
  ...ropeKernels,
  ...ropeStoreKernels,
  ...attentionKernels,
  ...attentionDecodeKernels,
  ...siluGateKernels,
  ...vectorKernels,
  ...crossEntropyKernels,
  ...reduceKernels,
  ...adamwKernels,
  ...sampleKernels,
  ...topLogitsKernels,
  ...exactKernels,
  ...ceilingKernels,
  ...numericProbeKernels,
  ...softmaxKernels,
  ...layerNormKernels,
  ...geluKernels,
  ...columnSumKernels,
  ...quantMatvecKernels,
  ...quantMatmulKernels,
  ...int8Kernels,
  ...dctKernels,
  ...globalNormKernels,
  ...nadamKernels,
  ...e3m0Kernels,
  ...quantiseInt8Kernels,
  ...uint8Kernels,
  ...sgdKernels,
  ...topKKernels,
  ...embeddingPartKernels,
  ...ssmKernels,
];

const caseMakers: readonly ((random: Random) => readonly KernelCase[])[] = [
  embeddingCases,
  matmulCases,
  rmsNormCases,
  ropeCases,
  ropeStoreCases,
  attentionCases,
  attentionDecodeCases,
  siluGateCases,
  vectorCases,
  crossEntropyCases,
  reduceCases,
  adamwCases,
  sampleCases,
  topLogitsCases,
  (random) => matvecCases(matvecVariants, random),
  exactCases,
  softmaxCases,
  layerNormCases,
  geluCases,
  columnSumCases,
  quantMatvecCases,
  quantMatmulCases,
  int8MatmulCases,
  dctCases,
  globalNormCases,
  nadamCases,
  e3m0Cases,
  quantiseInt8Cases,
  uint8Cases,
  sgdCases,
  topKCases,
  embeddingPartCases,
  ssmCases,
];

/** Each operation's cases come from a stream of their own, so that adding one leaves the others' numbers alone. */
export const kernelCases = (seed: number): KernelCase[] =>
  caseMakers.flatMap((make, stream) => make(createRandom(seed, stream)));
