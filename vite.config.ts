/** One configuration for the static site; `--mode node` builds the hub and the CLI. Bases are relative, so that the site works from any sub-path. */
import { existsSync } from 'node:fs';
import { defineConfig } from 'vite';

/** The pages of the site: the volunteer's page, and the frames that a widget opens. A page that is absent is not built. */
const pages = ['index.html', 'widget.html', 'consent.html'].filter((page) => existsSync(page));

export default defineConfig(({ mode }) =>
  mode === 'node'
    ? {
        build: {
          ssr: true,
          target: 'node20',
          outDir: 'dist/node',
          emptyOutDir: true,
          copyPublicDir: false,
          minify: false,
          rollupOptions: { input: { cli: 'src/node/cli.ts' }, output: { entryFileNames: '[name].js' } },
        },
      }
    : {
        base: './',
        worker: { format: 'es' as const },
        build: {
          outDir: 'dist/site',
          emptyOutDir: true,
          target: 'es2023',
          chunkSizeWarningLimit: 1500,
          rollupOptions: { input: pages },
        },
      },
);
