/**
 * WebGPU in Node: Dawn through the `webgpu` package, for native volunteers, for compiling submitters' shaders, and for
 * tests that want a GPU without a browser. Which Vulkan driver it finds is the machine's matter: `VK_DRIVER_FILES` names
 * one, and a software driver (Chromium's SwiftShader) does.
 */

export interface NodeGpuOptions {
  /** `null` compiles and validates and computes nothing. */
  readonly backend?: 'null' | 'vulkan' | 'metal' | 'd3d12';
}

/** Dawn dies with the process's last reference to it, devices in use or not; so they stay until `closeNodeGpu`. */
const kept = new Set<GPU>();

/** Also puts the constants (`GPUBufferUsage` and so on) where browsers have them. Close it, or the process may not end. */
export async function openNodeGpu(options: NodeGpuOptions = {}): Promise<GPU> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create(options.backend === undefined ? [] : [`backend=${options.backend}`]);
  kept.add(gpu);
  return gpu;
}

export const closeNodeGpu = (gpu: GPU): boolean => kept.delete(gpu);
