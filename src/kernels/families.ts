/** Every operation that has variants. Each family stands beside its operation; this list is what the tuner and pins know. */

import { attentionDecodeFamily } from './attention-decode.ts';
import { attentionFamily, attentionGradientFamily } from './attention.ts';
import { crossEntropyFamily } from './cross-entropy.ts';
import { layerNormFamily } from './layer-norm.ts';
import { matmulFamily } from './matmul.ts';
import { matvecFamily } from './matvec.ts';
import { rmsNormFamily } from './rms-norm.ts';
import { sampleFamily } from './sample.ts';
import { softmaxFamily } from './softmax.ts';
import { q4MatmulFamily, q8MatmulFamily } from './quant-matmul.ts';
import { q4MatvecFamily, q8MatvecFamily } from './quant-matvec.ts';
import { int8MatmulFamily, int8MatvecFamily } from './int8-matmul.ts';
import { globalNormFamily } from './global-norm.ts';
import { e3m0Family } from './quantise-e3m0.ts';
import { topKFamily } from './top-k.ts';
import type { Family, Pins } from './variants.ts';
import { safeVariant } from './variants.ts';

export const families: readonly Family[] = [
  matmulFamily,
  matvecFamily,
  rmsNormFamily,
  layerNormFamily,
  softmaxFamily,
  crossEntropyFamily,
  sampleFamily,
  attentionFamily,
  attentionGradientFamily,
  attentionDecodeFamily,
  q4MatvecFamily,
  q8MatvecFamily,
  q4MatmulFamily,
  q8MatmulFamily,
  int8MatmulFamily,
  int8MatvecFamily,
  globalNormFamily,
  e3m0Family,
  topKFamily,
];

/** Pins of the safe variant of everything: results of one numeric class are then equal bit for bit. */
export const safePins = (): Pins =>
  Object.fromEntries(families.map((family) => [family.name, safeVariant(family).name]));
