/** The safetensors format, checkpoints and the byte vocabulary, right and wrong. */

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { concat, equalBytes, utf8 } from '../core/bytes.ts';
import { expectInput } from '../core/result.ts';
import type { ModelConfig } from '../protocol/manifest.ts';
import { decodeConfig, decodeLlama, encodeConfig, encodeLlama } from './llama-checkpoint.ts';
import { initialParameters } from './llama-parameters.ts';
import { decodeSafetensors, encodeSafetensors, type SafetensorsEntry } from './safetensors.ts';
import { byteTokenizer } from './tokenizer.ts';

const config: ModelConfig = {
  architecture: 'llama',
  layers: 2,
  width: 12,
  hidden: 14,
  heads: 3,
  keyValueHeads: 1,
  vocabulary: 11,
  context: 7,
  ropeTheta: 10_000,
  normEpsilon: 1e-5,
};
const folder = '../shared/data/safetensors';

/** A file with this header text and that many zero bytes after it. */
function rawFile(header: string, dataBytes: number): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(utf8(header).byteLength), true);
  return concat(length, utf8(header), new Uint8Array(dataBytes));
}

const entry = (from: number, to: number, dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":[2],"data_offsets":[${from},${to}]}`;

const refusal = (bytes: Uint8Array): string => {
  const read = decodeSafetensors(bytes, 'w.safetensors');
  return read.ok ? 'accepted' : read.error.text;
};

describe('safetensors', () => {
  test('tensors come back as they were written, with an aligned beginning', () => {
    const tensors: SafetensorsEntry[] = [
      { name: 'a', type: 'F32', shape: [2, 3], bytes: new Uint8Array(24).fill(7) },
      { name: 'empty', type: 'I64', shape: [0], bytes: new Uint8Array(0) },
      { name: 'scalar', type: 'U8', shape: [], bytes: Uint8Array.of(9) },
    ];
    const bytes = encodeSafetensors({ tensors, metadata: { made: 'here' } });
    expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
    const read = expectInput(decodeSafetensors(bytes, 'w.safetensors'));
    expect(read.metadata).toEqual({ made: 'here' });
    expect(read.tensors.map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['a', 'F32', [2, 3]],
      ['empty', 'I64', [0]],
      ['scalar', 'U8', []],
    ]);
    expect(equalBytes(read.tensors[0]?.bytes ?? new Uint8Array(), tensors[0]?.bytes ?? new Uint8Array(1))).toBe(true);
  });

  test('holes, overlaps, wrong sizes, strange types and cut files are refused in one line', () => {
    const cases = [
      rawFile(`{"a":${entry(4, 12)}}`, 12), // hole
      rawFile(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12), // overlap
      rawFile(`{"a":${entry(0, 12)}}`, 12), // size does not fit the shape
      rawFile(`{"a":${entry(0, 8, 'F31')}}`, 8),
      rawFile(`{"a":${entry(0, 8)}}`, 4), // cut off
      rawFile(`{"a":${entry(0, 8)}}`, 9), // more than it says
      rawFile(`{"a":${entry(0, 8)}`, 8), // no JSON
      rawFile(`[1]`, 0),
      new Uint8Array(5),
      new Uint8Array(20).fill(255),
    ];
    for (const bytes of cases) expect(refusal(bytes)).toMatch(/^w\.safetensors: [^\n]+$/);
    expect(refusal(rawFile(`{"a":${entry(0, 8)}}`, 8))).toBe('accepted');
  });

  test.skipIf(!existsSync(folder))('files that others wrote are read', () => {
    const burn = expectInput(decodeSafetensors(readFileSync(`${folder}/burn-multi_layer.safetensors`), 'burn'));
    expect(burn.tensors.length).toBeGreaterThan(3);
    expect(burn.tensors.every(({ type }) => type === 'F32' || type === 'I64')).toBe(true);
    const candle = expectInput(decodeSafetensors(readFileSync(`${folder}/candle-jfk-codes.safetensors`), 'candle'));
    expect(candle.tensors).toHaveLength(1);
  });
});

describe('a Llama checkpoint', () => {
  test('is read as it was written; another network or a missing tensor is refused', () => {
    const parameters = initialParameters(config, 1);
    const bytes = encodeLlama(config, parameters);
    expect(expectInput(decodeConfig(encodeConfig(config), 'config.json'))).toEqual(config);
    expect(expectInput(decodeLlama(config, bytes, 'model'))).toEqual(parameters);
    const refused = (other: ModelConfig) => {
      const read = decodeLlama(other, bytes, 'model');
      return read.ok ? 'accepted' : read.error.text;
    };
    expect(refused({ ...config, layers: 3 })).toBe('model: lacks tensor layers.2.attention.wq.weight');
    expect(refused({ ...config, layers: 1 })).toMatch(/^model: tensor layers\.1\..* is none of this network's$/);
    expect(refused({ ...config, hidden: 16 })).toMatch(/^model: tensor .* is F32 \[14, 12\], expected F32 \[16, 12\]$/);
  });

  test('a config with impossible heads is refused', () => {
    const read = decodeConfig(encodeConfig({ ...config, heads: 5 }), 'config.json');
    expect(read.ok ? '' : read.error.text).toMatch(/^config\.json: width 12/);
  });
});

test('the byte vocabulary gives back any text', () => {
  const text = 'Zoë saw 3 ☃\n';
  expect(byteTokenizer.decode(byteTokenizer.encode(text))).toBe(text);
  expect(byteTokenizer.encode('Az')).toEqual([65, 122]);
});
