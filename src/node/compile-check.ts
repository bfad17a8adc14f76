/**
 * Compiles a submitter's shader before it is sent, on Dawn without a GPU, so that mistakes come at once and with line and
 * column instead of from a volunteer. What the text alone can tell is `protocol/shader-bindings`; here the compiler has
 * the first word, and the last. What volunteers would refuse to rewrite is refused here too.
 */

import { problem, ok, type Result } from '../core/result.ts';
import { accessOfKind, checkShaderUse, type ShaderUse } from '../protocol/shader-bindings.ts';
import { rewriteShader } from '../programs/shader-rewrite.ts';
import { closeNodeGpu, openNodeGpu } from './open-gpu.ts';

export interface CheckOptions extends ShaderUse {
  /** Name of the file in messages. */
  readonly file?: string;
}

/**
 * The entry point to run (undefined where the job has steps), or one line: `file.wgsl:LINE:COLUMN: message`, or what
 * does not fit between shader and job.
 */
export async function checkShader(
  wgsl: string,
  { file = 'shader.wgsl', ...use }: CheckOptions,
): Promise<Result<{ readonly entryPoint: string | undefined }>> {
  const gpu = await openNodeGpu({ backend: 'null' });
  try {
    const adapter = await gpu.requestAdapter();
    if (adapter === null) return problem('wgsl', `${file}: cannot be checked here: Dawn has no null backend`);
    const wanted = ['shader-f16', 'subgroups'] as const;
    const requiredFeatures = wanted.filter((feature) => adapter.features.has(feature));
    // Volunteers offer what their adapters have, not the defaults: 10 storage buffers are common.
    const { maxStorageBuffersPerShaderStage } = adapter.limits;
    const device = await adapter.requestDevice({
      requiredFeatures,
      requiredLimits: { maxStorageBuffersPerShaderStage },
    });
    try {
      return await compile(device, wgsl, file, use);
    } finally {
      device.destroy();
    }
  } finally {
    closeNodeGpu(gpu);
  }
}

async function compile(
  device: GPUDevice,
  wgsl: string,
  file: string,
  use: ShaderUse,
): Promise<Result<{ readonly entryPoint: string | undefined }>> {
  // Unscoped errors would be printed by Dawn; ours come as values.
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: file, code: wgsl });
  const info = await module.getCompilationInfo();
  await device.popErrorScope();
  const first = info.messages.find(({ type }) => type === 'error');
  if (first !== undefined) {
    return problem('wgsl', `${file}:${first.lineNum}:${first.linePos}: ${oneLine(first.message)}`);
  }
  const checked = checkShaderUse(wgsl, use, file);
  if (!checked.ok) return checked;
  const rewritten = rewriteShader(wgsl, { file, bindings: use.buffers.map(({ binding }) => binding) });
  if (!rewritten.ok) return rewritten;
  const entryPoints = new Set(use.steps?.map((step) => step.entryPoint) ?? [checked.value.entryPoint]);
  for (const entryPoint of entryPoints) {
    if (entryPoint === undefined) continue;
    const refused = await pipelineProblem(device, module, entryPoint, use);
    if (refused !== undefined) return problem('wgsl', `${file}: ${entryPoint}: ${refused}`);
  }
  return ok(checked.value);
}

const layoutTypes = { uniform: 'uniform', read: 'read-only-storage', write: 'storage' } as const;

/** What only making the pipeline shows: workgroup sizes, constants without a value, too many buffers. */
async function pipelineProblem(
  device: GPUDevice,
  module: GPUShaderModule,
  entryPoint: string,
  { buffers, constants = {} }: ShaderUse,
): Promise<string | undefined> {
  device.pushErrorScope('validation');
  const entries = buffers.map(({ binding, kind }) => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    buffer: { type: layoutTypes[accessOfKind[kind]] },
  }));
  const layout = device.createPipelineLayout({ bindGroupLayouts: [device.createBindGroupLayout({ entries })] });
  const layoutError = device.popErrorScope();
  const outcome = await device
    .createComputePipelineAsync({ layout, compute: { module, entryPoint, constants: { ...constants } } })
    .then(
      () => undefined,
      (error: unknown) => oneLine(error instanceof Error ? error.message : String(error)),
    );
  const refused = await layoutError;
  return refused === null ? outcome : oneLine(refused.message);
}

/** The compiler's sentence without the trail of calls below it. */
const oneLine = (message: string): string => message.split('\n')[0]?.trim() || 'the compiler gave no reason';
