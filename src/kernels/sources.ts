/**
 * The one file that knows where WGSL comes from: every `shaders/*.wgsl`, read at build time by Vite (and by Vitest).
 * Kernels ask for a shader by its file name; nothing else imports WGSL.
 */

import { present } from '../core/assert.ts';

const files = import.meta.glob<string>('../../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true });

/** Shader text by file name without its ending, sorted by name. */
export const shaderSources: ReadonlyMap<string, string> = new Map(
  Object.entries(files)
    .map(([path, text]): [string, string] => [path.slice(path.lastIndexOf('/') + 1, -'.wgsl'.length), text])
    .toSorted(([a], [b]) => (a < b ? -1 : 1)),
);

export const shaderSource = (name: string): string =>
  present(shaderSources.get(name), `shaders/${name}.wgsl is missing`);
