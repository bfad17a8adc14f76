/**
 * Makes a folder that runs the native benchmark on a machine that holds nothing but Node and a GPU's driver: one file
 * with all of ours in it, and the package `webgpu` with Dawn for one platform. No network is needed there.
 */

import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../src/node/prepare.mjs';

/** `target` as Node has it: platform and architecture, e.g. `linux-x64`. */
export async function packNative(folder: string, target: string): Promise<void> {
  const dawn = join(root, 'node_modules', 'webgpu');
  const built = target.startsWith('darwin') ? 'darwin-universal' : target;
  if (!existsSync(join(dawn, 'dist', built))) throw new Error(`Dawn is not built for ${target}`);
  const { build } = await import('vite');
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    ssr: { noExternal: true, external: ['webgpu'] },
    build: {
      ssr: true,
      target: 'node20',
      outDir: folder,
      emptyOutDir: false,
      copyPublicDir: false,
      minify: false,
      rollupOptions: {
        checks: { pluginTimings: false },
        input: { bench: join(root, 'bench', 'native-main.ts') },
        output: { entryFileNames: '[name].mjs', codeSplitting: false },
      },
    },
  });
  const beside = join(folder, 'node_modules', 'webgpu');
  mkdirSync(join(beside, 'dist'), { recursive: true });
  for (const name of ['package.json', 'index.js', 'LICENSE.md', join('dist', built)]) {
    cpSync(join(dawn, name), join(beside, name), { recursive: true });
  }
}
