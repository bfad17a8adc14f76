/**
 * One configuration for everything that is built. The static site has relative bases, so that it works from any
 * sub-path; `--mode demo` builds it once more with the volunteer that lies, which no site for others may contain;
 * `--mode node` builds the command line and the benchmarks, `--mode sdk` the library that programs import.
 */

import { existsSync } from 'node:fs';
import { defineConfig, type UserConfig } from 'vite';

/** The pages of the site, and the frames that a widget opens. A page that is absent is not built. */
const pages = ['index.html', 'widget.html', 'consent.html'].filter((page) => existsSync(page));

/** How long which plugin took is no warning to anybody who just runs the demo. */
const checks = { pluginTimings: false };

/** `liar` is known while building, so that a site without the liar does not even contain its code. */
const site = (outDir: string, liar: 'allowed' | 'refused'): UserConfig => ({
  define: { 'import.meta.env.VITE_LIAR': JSON.stringify(liar) },
  base: './',
  worker: { format: 'es' },
  build: {
    outDir,
    emptyOutDir: true,
    target: 'es2023',
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: pages, checks },
  },
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
      checks,
      input: {
        cli: 'src/node/cli.ts',
        bench: 'bench/run.ts',
        conformance: 'bench/conformance/run.ts',
        'native-worker': 'src/node/native-worker.ts',
      },
      output: { entryFileNames: '[name].js' },
    },
  },
};

const sdkOutput = {
  outDir: 'dist/sdk',
  copyPublicDir: false,
  minify: false,
};

/**
 * The library, once for each export condition. All that it needs is inside, so that a program that imports it installs
 * nothing else; in Node all but `ws`, which may use compiled parts of its own.
 */
const sdk: UserConfig = {
  // Builds both environments below one after another.
  builder: {},
  environments: {
    client: {
      build: {
        ...sdkOutput,
        emptyOutDir: true,
        target: 'es2023',
        lib: { entry: 'src/sdk/index.ts', formats: ['es'], fileName: 'index' },
        rollupOptions: { checks },
      },
    },
    ssr: {
      resolve: { noExternal: true, external: ['ws'] },
      build: {
        ...sdkOutput,
        emptyOutDir: false,
        target: 'node20',
        ssr: true,
        rollupOptions: { checks, input: { node: 'src/node/sdk.ts' }, output: { entryFileNames: '[name].js' } },
      },
    },
  },
};

export default defineConfig(({ mode }) => {
  if (mode === 'sdk') return sdk;
  if (mode === 'node') return node;
  return mode === 'demo' ? site('dist/site-demo', 'allowed') : site('dist/site', 'refused');
});
