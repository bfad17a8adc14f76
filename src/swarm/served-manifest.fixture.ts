/** For tests of served models: a job whose model is the toy network. */

import { expectInput } from '../core/result.ts';
import { toyVocabulary, toyWidth } from '../inference/toy-network.fixture.ts';
import { checkManifest, placesOf, type ManifestOf, type ServePlan } from '../protocol/manifest.ts';
import { digestNamed, submitterAccount } from './test-hub.ts';

const nothing = { bytes: 4, chunks: [digestNamed('0')] };

export function servedManifest(plan: Partial<ServePlan> = {}): ManifestOf<'serve'> {
  const stages = plan.stages ?? 1;
  const serve: ServePlan = {
    name: 'toy',
    model: {
      architecture: 'llama',
      layers: 2 * stages,
      width: toyWidth,
      hidden: 2,
      heads: 1,
      keyValueHeads: 1,
      vocabulary: toyVocabulary,
      context: 64,
      ropeTheta: 10_000,
      normEpsilon: 1e-5,
    },
    weights: nothing,
    format: 'llama2c',
    tokenizer: nothing,
    stages,
    spares: 0,
    pipelines: 1,
    context: 64,
    sequences: 4,
    activations: 'f32',
    ...plan,
  };
  const manifest: ManifestOf<'serve'> = {
    version: 1,
    name: 'toy',
    nonce: '0'.repeat(32),
    submitter: submitterAccount,
    expires: 4_000_000_000,
    price: 1000,
    units: placesOf(serve),
    verify: { replicas: 1, absolute: 0, relative: 0 },
    limits: { unitSeconds: 60 },
    program: 'serve',
    serve,
  };
  expectInput(checkManifest(manifest));
  return manifest;
}
