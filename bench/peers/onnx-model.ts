/**
 * ONNX models of one node, as bytes: the few fields of the protocol buffer (onnx/onnx.proto, IR version 10) that a
 * benchmark needs, so that no model file and no ONNX library has to travel with it.
 */

/** f32 unless `u8`. */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface OnnxWeights extends OnnxTensor {
  readonly values: Float32Array | Uint8Array;
}

export interface OnnxNode {
  readonly operator: string;
  readonly domain?: 'com.microsoft';
  /** Whole numbers as `int`, others as `float`. */
  readonly attributes: Readonly<Record<string, { readonly int: number } | { readonly float: number }>>;
  /** Given with each run. */
  readonly inputs: readonly OnnxTensor[];
  /** Part of the model; they follow the inputs in the node's order. */
  readonly weights: readonly OnnxWeights[];
  readonly output: OnnxTensor;
}

export const onnxModel = ({ operator, domain, attributes, inputs, weights, output }: OnnxNode): Uint8Array =>
  message(
    whole(1, 10),
    part(
      7,
      part(
        1,
        ...[...inputs, ...weights].map(({ name }) => text(1, name)),
        text(2, output.name),
        text(4, operator),
        ...Object.entries(attributes).map(([name, value]) =>
          part(
            5,
            text(1, name),
            ...('int' in value ? [whole(3, value.int), whole(20, 2)] : [float(2, value.float), whole(20, 1)]),
          ),
        ),
        ...(domain === undefined ? [] : [text(7, domain)]),
      ),
      text(2, 'bench'),
      ...weights.map((one) => part(5, initializer(one))),
      ...inputs.map((one) => part(11, valueInfo(one))),
      part(12, valueInfo(output)),
    ),
    part(8, text(1, ''), whole(2, 21)),
    part(8, text(1, 'com.microsoft'), whole(2, 1)),
  );

const elementTypes = { f32: 1, u8: 2 } as const;

const initializer = ({ name, shape, values }: OnnxWeights): Uint8Array =>
  message(
    ...shape.map((size) => whole(1, size)),
    whole(2, values instanceof Uint8Array ? elementTypes.u8 : elementTypes.f32),
    text(8, name),
    bytes(9, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );

const valueInfo = ({ name, shape }: OnnxTensor): Uint8Array =>
  message(
    text(1, name),
    part(2, part(1, whole(1, elementTypes.f32), part(2, ...shape.map((size) => part(1, whole(1, size)))))),
  );

// The wire format: a field is its number and kind, then a number of seven bits a byte, or a length and bytes.

const message = (...fields: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(fields.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const field of fields) {
    joined.set(field, end);
    end += field.length;
  }
  return joined;
};

function varint(value: number): Uint8Array {
  const digits: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) digits.push((rest % 128) + 128);
  return Uint8Array.from([...digits, rest]);
}

const whole = (field: number, value: number): Uint8Array => message(varint(field * 8), varint(value));
const float = (field: number, value: number): Uint8Array =>
  message(varint(field * 8 + 5), new Uint8Array(Float32Array.of(value).buffer));
const bytes = (field: number, value: Uint8Array): Uint8Array =>
  message(varint(field * 8 + 2), varint(value.length), value);
const text = (field: number, value: string): Uint8Array => bytes(field, new TextEncoder().encode(value));
const part = (field: number, ...fields: readonly Uint8Array[]): Uint8Array => bytes(field, message(...fields));
