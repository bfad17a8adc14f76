/**
 * The one file that knows where WGSL comes from: `shaders/*.wgsl`, and `shaders/parts/*.wgsl` that several of them share,
 * read at build time by Vite (and by Vitest). Kernels ask for both by file name; nothing else imports WGSL. WGSL has no
 * include, so a kernel names its parts and their texts go before the shader's.
 */

import { present } from '../core/assert.ts';

type Sources = ReadonlyMap<string, string>;

/** Text by file name without its ending, sorted by name. */
const byName = (files: Readonly<Record<string, string>>): Sources =>
  new Map(
    Object.entries(files)
      .map(([path, text]): [string, string] => [path.slice(path.lastIndexOf('/') + 1, -'.wgsl'.length), text])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );

export const shaderSources: Sources = byName(
  import.meta.glob<string>('../../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true }),
);

export const partSources: Sources = byName(
  import.meta.glob<string>('../../shaders/parts/*.wgsl', { query: '?raw', import: 'default', eager: true }),
);

/** What is compiled: the parts in their order, then the shader. `enable` stands in the first part or nowhere, as WGSL wants it first. */
export const shaderSource = (name: string, parts: readonly string[] = []): string =>
  [
    ...parts.map((part) => present(partSources.get(part), `shaders/parts/${part}.wgsl is missing`)),
    present(shaderSources.get(name), `shaders/${name}.wgsl is missing`),
  ].join('\n');
