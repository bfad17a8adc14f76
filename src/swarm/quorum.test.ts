import { describe, expect, it } from 'vitest';
import { sampleManifest } from './sample-manifests.ts';
import type { AccountId } from '../core/ids.ts';
import type { ElementType, Manifest } from '../protocol/manifest.ts';
import { agreeNumbers, compareOutputs, decideQuorum, type QuorumResult } from './quorum.ts';

const results = (...values: number[]): (QuorumResult & { value: number })[] =>
  values.map((value, index) => ({ attempt: index + 1, digest: `d${index}`, value }));
const within = (tolerance: number) => (a: QuorumResult, b: QuorumResult) =>
  Math.abs((a as QuorumResult & { value: number }).value - (b as QuorumResult & { value: number }).value) <= tolerance;

describe('a quorum', () => {
  it('accepts as soon as enough results agree', () => {
    expect(decideQuorum(results(1, 1), within(0), 2)).toEqual({
      type: 'accepted',
      attempt: 1,
      honest: [1, 2],
      dishonest: [],
    });
  });

  it('asks for more when the results differ', () => {
    expect(decideQuorum(results(1, 5), within(1), 2)).toEqual({ type: 'more', count: 1 });
    expect(decideQuorum([], within(1), 3)).toEqual({ type: 'more', count: 3 });
  });

  it('takes the middle one where agreement is not transitive, and calls both its neighbours honest', () => {
    // A agrees with B, B with C, but A does not agree with C.
    expect(decideQuorum(results(0, 1, 2), within(1), 3)).toEqual({
      type: 'accepted',
      attempt: 2,
      honest: [1, 2, 3],
      dishonest: [],
    });
  });

  it('breaks ties by the earliest result', () => {
    expect(decideQuorum(results(9, 3, 9.5, 3.5), within(1), 2)).toMatchObject({
      attempt: 1,
      honest: [1, 3],
      dishonest: [2, 4],
    });
  });

  it('does not count agreement that is only indirect', () => {
    // A chain of four: nobody has three agreeing with them besides the two in the middle.
    expect(decideQuorum(results(0, 1, 2, 3), within(1), 4)).toEqual({ type: 'more', count: 1 });
  });

  it('waits while a comparison is unknown', () => {
    expect(decideQuorum(results(0, 1), () => undefined, 2)).toEqual({ type: 'undecided' });
  });
});

describe('two outputs', () => {
  const manifestWith = (type: ElementType, count: number, absolute: number, relative: number): Manifest => {
    const manifest = sampleManifest({ units: 1, replicas: 2, unitSeconds: 1 }, 'e'.repeat(64) as AccountId);
    if (manifest.program !== 'shader') throw new Error('expected a shader');
    const buffers = [{ binding: 0, kind: 'output', type, count }] as const;
    return {
      ...manifest,
      verify: { replicas: 2, absolute, relative },
      shader: { ...manifest.shader, buffers: [...buffers] },
    };
  };
  const f32 = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

  it('agree within the absolute and the relative tolerance, and not beyond', () => {
    const manifest = manifestWith('f32', 2, 0.5, 0.01);
    expect(compareOutputs(manifest, f32(1, 1000), f32(1.5, 1010))).toBe(true);
    expect(compareOutputs(manifest, f32(1, 1000), f32(1.6, 1000))).toBe(false);
    expect(compareOutputs(manifest, f32(1, 1000), f32(1, 1012))).toBe(false);
  });

  it('agree where both are not numbers, never where one is, and an infinity is not near anything', () => {
    const policy = { absolute: 1, relative: 0.5 };
    expect(agreeNumbers(NaN, NaN, policy)).toBe(true);
    expect(agreeNumbers(NaN, 0, policy)).toBe(false);
    expect(agreeNumbers(Infinity, Infinity, policy)).toBe(true);
    expect(agreeNumbers(Infinity, 1e30, policy)).toBe(false);
    expect(agreeNumbers(Infinity, -Infinity, policy)).toBe(false);
    expect(agreeNumbers(0, -0, { absolute: 0, relative: 0 })).toBe(true);
  });

  it('compare integers exactly, whatever the tolerance', () => {
    const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
    expect(compareOutputs(manifestWith('u32', 1, 100, 1), u32(7), u32(7))).toBe(true);
    expect(compareOutputs(manifestWith('u32', 1, 100, 1), u32(7), u32(8))).toBe(false);
  });

  it('read half floats as numbers', () => {
    const f16 = (bits: number) => new Uint8Array(new Uint16Array([bits]).buffer);
    const manifest = manifestWith('f16', 1, 0.001, 0);
    expect(compareOutputs(manifest, f16(0x3c00), f16(0x3c01))).toBe(true); // 1 and 1 + 2^-10
    expect(compareOutputs(manifest, f16(0x3c00), f16(0x3c02))).toBe(false);
    expect(compareOutputs(manifest, f16(0x0001), f16(0x8001))).toBe(true); // the smallest subnormals, either sign
    expect(compareOutputs(manifest, f16(0x7e00), f16(0x7e01))).toBe(true); // two NaN
  });

  it('of another length never agree, nor do equal ones of a length that the manifest does not have', () => {
    const manifest = manifestWith('f32', 2, 1e9, 0);
    expect(compareOutputs(manifest, f32(1, 2), f32(1))).toBe(false);
    expect(compareOutputs(manifest, f32(1), f32(1))).toBe(false);
    expect(compareOutputs(manifest, f32(1, 2, 3), f32(1, 2, 3))).toBe(false);
  });
});
