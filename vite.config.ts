/**
 * One configuration for everything that is built. The static site has relative bases, so that it works from any
 * sub-path; `--mode demo` builds it once more with the volunteer that lies, which no site for others may contain;
 * `--mode node` builds the command line and the benchmarks.
 */

import { existsSync } from 'node:fs';
import { defineConfig, type UserConfig } from 'vite';

/** The pages of the site, and the frames that a widget opens. A page that is absent is not built. */
const pages = ['index.html', 'widget.html', 'consent.html'].filter((page) => existsSync(page));

const site = (outDir: string): UserConfig => ({
  base: './',
  worker: { format: 'es' },
  build: { outDir, emptyOutDir: true, target: 'es2023', chunkSizeWarningLimit: 1500, rollupOptions: { input: pages } },
});

const node: UserConfig = {
  build: {
    ssr: true,
    target: 'node20',
    outDir: 'dist/node',
    emptyOutDir: true,
    copyPublicDir: false,
    minify: false,
    rollupOptions: {
      input: { cli: 'src/node/cli.ts', bench: 'bench/run.ts' },
      output: { entryFileNames: '[name].js' },
    },
  },
};

export default defineConfig(({ mode }) => {
  // Vite hands variables of the environment to the code; only the demo's build may say this one.
  delete process.env['VITE_LIAR'];
  if (mode === 'node') return node;
  if (mode !== 'demo') return site('dist/site');
  process.env['VITE_LIAR'] = 'allowed';
  return site('dist/site-demo');
});
