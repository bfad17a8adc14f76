/** One configuration for the static site; `--mode node` builds the hub and the CLI. Bases are relative, so that the site works from any sub-path. */
import { defineConfig } from 'vite';

export default defineConfig(({ mode }) =>
  mode === 'node'
    ? {
        build: {
          ssr: true,
          target: 'node20',
          outDir: 'dist/node',
          emptyOutDir: true,
          minify: false,
          rollupOptions: { input: { cli: 'src/node/cli.ts' }, output: { entryFileNames: '[name].js' } },
        },
      }
    : {
        base: './',
        worker: { format: 'es' as const },
        build: { outDir: 'dist/site', emptyOutDir: true, target: 'es2023', chunkSizeWarningLimit: 1500 },
      },
);
