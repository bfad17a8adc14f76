/**
 * Serves the repository's sources as they stand, for tests that look at one piece of the site in a page of `e2e/pages`.
 * Stories of the whole use the built site instead.
 */

import { fileURLToPath } from 'node:url';
import { createServer, type InlineConfig } from 'vite';

export interface ServedSources {
  /** Where it is served, with a slash at the end. */
  readonly url: string;
  /** The address of `e2e/pages/<name>.html`. */
  page(name: string): string;
  close(): Promise<void>;
}

/** The name keeps caches of servers that run at once apart. */
export async function serveSources(
  name: string,
  options: Pick<InlineConfig, 'define' | 'plugins' | 'optimizeDeps'> = {},
): Promise<ServedSources> {
  const server = await createServer({
    root: fileURLToPath(new URL('../..', import.meta.url)),
    configFile: false,
    logLevel: 'error',
    cacheDir: `.tabswarm/test/vite-${name}`,
    // A file that changes, or a dependency found late, would reload the page in the middle of a test.
    server: { host: '127.0.0.1', port: 0, hmr: false, watch: null },
    ...options,
    optimizeDeps: { noDiscovery: true, ...options.optimizeDeps },
  });
  await server.listen();
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error(`the sources for ${name} are served nowhere`);
  return { url, page: (page) => `${url}e2e/pages/${page}.html`, close: () => server.close() };
}
