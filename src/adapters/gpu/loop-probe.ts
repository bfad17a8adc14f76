/**
 * Some adapters end every loop by themselves after so many rounds, and tell nobody (llvmpipe after 65,535): a long loop
 * then gives wrong results in good faith. So a loop of known length runs once when a device is opened.
 */

import source from './loop_probe.wgsl?raw';

/** Rounds that are tried: takes a slow processor a few milliseconds, and adapters that end loops do so sooner. */
const probeRounds = 1 << 20;
const lanes = 16;
const wanted = Uint32Array.from({ length: lanes }, (_, lane) => probeRounds - lane);

/** Rounds after which this adapter ends loops; undefined where it ends none, or where nothing can be learned. */
export async function probeLoopLimit(device: GPUDevice): Promise<number | undefined> {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const size = wanted.byteLength;
  const rounds = device.createBuffer({ label: 'loop probe rounds', size, usage: STORAGE | COPY_SRC | COPY_DST });
  const values = device.createBuffer({ label: 'loop probe values', size, usage: STORAGE });
  const copy = device.createBuffer({ label: 'loop probe result', size, usage: COPY_DST | MAP_READ });
  device.pushErrorScope('validation');
  try {
    const module = device.createShaderModule({ label: 'loop probe', code: source });
    const pipeline = await device.createComputePipelineAsync({
      label: 'loop probe',
      layout: 'auto',
      compute: { module, entryPoint: 'main' },
    });
    const entries = [rounds, values].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    device.queue.writeBuffer(rounds, 0, wanted);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(rounds, 0, copy, 0, size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const made = new Uint32Array(copy.getMappedRange());
    const short = made.filter((count, lane) => count !== wanted[lane]);
    // Dawn's null backend computes nothing and answers what it was given, or zeros.
    return short.length === 0 || short.includes(0) ? undefined : Math.min(...short);
  } catch {
    // Whatever is wrong with this device shows again at the self-test or the first unit, and is told there.
    return undefined;
  } finally {
    await device.popErrorScope().catch(() => null);
    for (const buffer of [rounds, values, copy]) buffer.destroy();
  }
}
