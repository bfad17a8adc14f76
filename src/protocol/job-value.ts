/**
 * Values in job files: `{ "f32": [..] }`, `{ "u32": [..] }`, `{ "i32": [..] }`, `{ "base64": ".." }`,
 * `{ "file": ".." }`, and from the SDK a typed array as it stands. All become bytes, little endian, or a file's name;
 * sizes are checked where the file's bytes are known (`assembly/job`).
 */

import { fromBase64, type Bytes } from '../core/bytes.ts';
import { v } from '../core/schema.ts';

export type JobValue = { readonly bytes: Bytes } | { readonly file: string };
export type JobValueInput =
  | { readonly f32: readonly number[] }
  | { readonly u32: readonly number[] }
  | { readonly i32: readonly number[] }
  | { readonly base64: string }
  | { readonly file: string }
  | ArrayBufferView;

const forms = 'f32, u32, i32, base64 or file';

/** The value, or what is wrong with it. */
export function readJobValue(value: unknown): JobValue | string {
  if (ArrayBuffer.isView(value)) {
    return { bytes: new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `expected an object with one of ${forms}`;
  const [form, ...others] = Object.keys(value);
  if (form === undefined || others.length > 0) return `expected exactly one of ${forms}`;
  const content: unknown = Object.values(value)[0];
  switch (form) {
    case 'f32':
    case 'u32':
    case 'i32':
      return readNumbers(form, content);
    case 'base64': {
      const bytes = typeof content === 'string' ? fromBase64(content) : undefined;
      return bytes === undefined ? 'base64: not a base64 text' : { bytes };
    }
    case 'file':
      return typeof content === 'string' && content !== '' ? { file: content } : 'file: expected the name of a file';
    default:
      return `${form}: unknown field, use ${forms}`;
  }
}

const numberForms = {
  f32: { what: 'a number that fits f32', fits: (x: number) => Number.isFinite(Math.fround(x)) },
  u32: { what: 'a whole number from 0 to 4294967295', fits: (x: number) => x >>> 0 === x },
  i32: { what: 'a whole number from -2147483648 to 2147483647', fits: (x: number) => (x | 0) === x },
};

function readNumbers(form: 'f32' | 'u32' | 'i32', content: unknown): JobValue | string {
  if (!Array.isArray(content)) return `${form}: expected a list of numbers`;
  const { what, fits } = numberForms[form];
  const bytes = new Uint8Array(content.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, x] of (content as unknown[]).entries()) {
    if (typeof x !== 'number' || !fits(x)) return `${form}.${index}: expected ${what}`;
    if (form === 'f32') view.setFloat32(index * 4, x, true);
    else view.setUint32(index * 4, x, true);
  }
  return { bytes };
}

/** The schema; it takes a value as people write it and gives bytes or a file's name. */
export const valueSchema = v.pipe(
  v.custom<JobValueInput>(
    (value) => typeof value === 'object' && value !== null,
    `expected an object with one of ${forms}`,
  ),
  v.rawTransform<JobValueInput, JobValue>(({ dataset, addIssue, NEVER }) => {
    const read = readJobValue(dataset.value);
    if (typeof read !== 'string') return read;
    addIssue({ message: read });
    return NEVER;
  }),
);
