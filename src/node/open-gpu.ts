/**
 * WebGPU in Node: Dawn through the `webgpu` package, for native volunteers, for compiling submitters' shaders, and for
 * tests that want a GPU without a browser. Which Vulkan driver it finds is the machine's matter: `VK_DRIVER_FILES` names
 * one, and a software driver (Chromium's SwiftShader) does.
 */

export interface NodeGpuOptions {
  /** `null` compiles and validates and computes nothing. */
  readonly backend?: 'null' | 'vulkan' | 'metal' | 'd3d12';
}

/**
 * Keep the returned object for as long as any device of it is used; dropping it lets the process end. Also puts the
 * constants (`GPUBufferUsage` and so on) where browsers have them.
 */
export async function openNodeGpu(options: NodeGpuOptions = {}): Promise<GPU> {
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  return create(options.backend === undefined ? [] : [`backend=${options.backend}`]);
}
