/**
 * The fixed-order f32 path for whoever referees a dispute: the float operations of a network on the CPU, each step rounded
 * to f32 by `Math.fround`, sums strictly ascending, products rounded before they are added, and exp, log and tanh of our own
 * (`exact-arithmetic.ts`). IEEE 754 leaves one result for f32 + - * / and the root, so two engines agree bit for bit;
 * rounding the f64 result of one such operation to f32 is the f32 result. What a GPU computes is close to this, never equal.
 */

import { exactExp, exactLog } from './exact-arithmetic.ts';
import { at } from './truth.ts';

type Vector = Float32Array<ArrayBuffer>;
const f32 = Math.fround;

/** e^x in f32. */
const exp = (x: number): number => f32(exactExp(x));

/** output [rows, columns] = left [rows, inner] x right [columns, inner] transposed. */
export function refereeMatmul(
  left: Float32Array,
  right: Float32Array,
  { rows, columns, inner }: { readonly rows: number; readonly columns: number; readonly inner: number },
): Vector {
  const output = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let step = 0; step < inner; step++) {
        sum = f32(sum + f32(at(left, row * inner + step) * at(right, column * inner + step)));
      }
      output[row * columns + column] = sum;
    }
  }
  return output;
}

/** a + b, element by element. */
export const refereeAdd = (a: Vector, b: Float32Array): Vector => a.map((value, index) => f32(value + at(b, index)));

/** weight * x / sqrt(mean(x^2) + epsilon) of each row of `weight.length`. */
export function refereeRmsNorm(input: Float32Array, weight: Float32Array, epsilon: number): Vector {
  const width = weight.length;
  const output = new Float32Array(input.length);
  for (let start = 0; start < input.length; start += width) {
    let sum = 0;
    for (let column = 0; column < width; column++) {
      const value = at(input, start + column);
      sum = f32(sum + f32(value * value));
    }
    const root = f32(Math.sqrt(f32(f32(sum / width) + f32(epsilon))));
    for (let column = 0; column < width; column++) {
      output[start + column] = f32(f32(at(input, start + column) / root) * at(weight, column));
    }
  }
  return output;
}

/** Softmax of each row of `columns`. */
export function refereeSoftmax(input: Float32Array, columns: number): Vector {
  const output = new Float32Array(input.length);
  for (let start = 0; start < input.length; start += columns) {
    const row = input.subarray(start, start + columns);
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const powers = row.map((value) => exp(f32(value - largest)));
    const sum = powers.reduce((all, power) => f32(all + power), 0);
    powers.forEach((power, column) => {
      output[start + column] = f32(power / sum);
    });
  }
  return output;
}

/** silu(gate) * up. */
export const refereeSiluGate = (gate: Vector, up: Float32Array): Vector =>
  gate.map((x, index) => f32(f32(x / f32(1 + exp(f32(-x)))) * at(up, index)));

/** -log softmax(row)[target] of each row of `columns`, in nats. */
export function refereeCrossEntropy(logits: Float32Array, targets: Uint32Array, columns: number): Vector {
  return Float32Array.from(targets, (target, row) => {
    const own = logits.subarray(row * columns, (row + 1) * columns);
    const largest = own.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = own.reduce((all, value) => f32(all + exp(f32(value - largest))), 0);
    return f32(f32(f32(exactLog(sum)) + largest) - at(own, target));
  });
}

/** One AdamW step in torch's order (Loshchilov and Hutter 2019), in place; `step` counts from 1. */
export function refereeAdamw(
  { parameters, gradients, first, second }: Readonly<Record<'parameters' | 'gradients' | 'first' | 'second', Vector>>,
  of: {
    readonly learningRate: number;
    readonly betas: readonly [number, number];
    readonly weightDecay: number;
    readonly epsilon: number;
    readonly step: number;
  },
): void {
  const [beta1, beta2] = [f32(of.betas[0]), f32(of.betas[1])];
  const rate = f32(of.learningRate);
  const keep = f32(1 - f32(rate * f32(of.weightDecay)));
  const [bias1, bias2] = [f32(1 - power(beta1, of.step)), f32(1 - power(beta2, of.step))];
  parameters.forEach((parameter, index) => {
    const gradient = at(gradients, index);
    const m = f32(f32(beta1 * at(first, index)) + f32(f32(1 - beta1) * gradient));
    const v = f32(f32(beta2 * at(second, index)) + f32(f32(1 - beta2) * f32(gradient * gradient)));
    first[index] = m;
    second[index] = v;
    const root = f32(f32(Math.sqrt(f32(v / bias2))) + f32(of.epsilon));
    parameters[index] = f32(f32(parameter * keep) - f32(rate * f32(f32(m / bias1) / root)));
  });
}

/** base^exponent by repeated f32 products, as `Math.pow` may differ between engines. */
function power(base: number, exponent: number): number {
  let value = 1;
  for (let count = 0; count < exponent; count++) value = f32(value * base);
  return value;
}
