/**
 * WebGPU in Node: Dawn through the `webgpu` package, for native volunteers, for compiling submitters' shaders, and for
 * tests that want a GPU without a browser. Which Vulkan driver it finds is the machine's matter: `VK_DRIVER_FILES` names
 * one, and a software driver (Chromium's SwiftShader) does.
 */

export interface NodeGpuOptions {
  /** `null` compiles and validates and computes nothing. */
  readonly backend?: 'null' | 'vulkan' | 'metal' | 'd3d12';
  /** The GPU's name, or a part of it; `listNodeGpus` knows the names. Left out, Dawn chooses. */
  readonly adapter?: string;
}

/** Dawn dies with the process's last reference to it, devices in use or not; so they stay until `closeNodeGpu`. */
const kept = new Set<GPU>();

/** Also puts the constants (`GPUBufferUsage` and so on) where browsers have them. Close it, or the process may not end. */
export async function openNodeGpu(options: NodeGpuOptions = {}): Promise<GPU> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const { backend, adapter } = options;
  const gpu = create([
    ...(backend === undefined ? [] : [`backend=${backend}`]),
    ...(adapter === undefined ? [] : [`adapter=${adapter}`]),
  ]);
  kept.add(gpu);
  return gpu;
}

export const closeNodeGpu = (gpu: GPU): boolean => kept.delete(gpu);

/** Names of the GPUs that Dawn would use on this machine; one name where several GPUs share it. */
export async function listNodeGpus(): Promise<readonly string[]> {
  const gpu = await openNodeGpu({ backend: backendHere, adapter: 'a name that no GPU has' });
  try {
    await gpu.requestAdapter();
    return [];
  } catch (error) {
    // The library's only way to tell: it names all that there are where it does not find the one that was asked for.
    return namesIn(error instanceof Error ? error.message : '', backendHere);
  } finally {
    closeNodeGpu(gpu);
  }
}

const backendHere = process.platform === 'darwin' ? 'metal' : process.platform === 'win32' ? 'd3d12' : 'vulkan';

export const namesIn = (text: string, backend: string): readonly string[] => [
  ...new Set(
    [...text.matchAll(/backend: '([^']*)', name: '([^\n]*)'/g)]
      .filter(([, own]) => own === backend)
      .map(([, , name = '']) => name),
  ),
];
