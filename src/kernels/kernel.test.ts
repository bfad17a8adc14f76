import { expect, test } from 'vitest';
import { present } from '../core/assert.ts';
import { axpyDispatch, combineDispatch } from './vector.ts';

const buffer = (label: string) => ({ label, bytes: 1024 });

test('a dispatch binds whole buffers in order and puts offsets, then numbers, into the uniform', () => {
  const [x, y] = [buffer('x'), buffer('y')];
  const { bindings, grid } = axpyDispatch({ x: { buffer: x, offset: 7 }, y: { buffer: y }, count: 65, yScale: 0.5 });
  expect(grid).toEqual([2, 1, 1]);
  expect(bindings.slice(1)).toEqual([
    { binding: 1, buffer: x, access: 'read' },
    { binding: 2, buffer: y, access: 'write' },
  ]);
  const first = present(bindings[0], 'a uniform');
  const view = new DataView('uniform' in first ? first.uniform.slice().buffer : new ArrayBuffer(0));
  expect(view.byteLength).toBe(32);
  expect([view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)]).toEqual([7, 0, 65]);
  expect([view.getFloat32(12, true), view.getFloat32(16, true)]).toEqual([1, 0.5]);
});

test('a written buffer that is bound twice is refused by name, and reading one buffer twice is not', () => {
  const [a, b] = [buffer('activations'), buffer('gradients')];
  expect(() =>
    combineDispatch({ left: { buffer: a }, right: { buffer: b }, output: { buffer: b, offset: 64 }, count: 3 }),
  ).toThrow("combine: 'output' is written and shares buffer 'gradients' with 'right'");
  combineDispatch({ left: { buffer: a }, right: { buffer: a, offset: 64 }, output: { buffer: b }, count: 3 });
});

test('a size that is no whole number is refused by name', () => {
  const of = { x: { buffer: buffer('x') }, y: { buffer: buffer('y') } };
  expect(() => axpyDispatch({ ...of, count: 1.5 })).toThrow('axpy: count is 1.5');
  expect(() => axpyDispatch({ ...of, x: { buffer: buffer('x'), offset: -1 }, count: 1 })).toThrow('axpy: offset of x');
});
