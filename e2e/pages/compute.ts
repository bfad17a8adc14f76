/**
 * The page of `compute.spec.ts`: makes manifests out of short descriptions and hands them to a real compute worker.
 * Chunks come from memory, unsigned: only the way from a manifest to a result is looked at here.
 */

import { spawnCompute, type SpawnedCompute } from '../../src/adapters/worker/spawn.ts';
import type { ComputeOptions, ComputeUsage } from '../../src/adapters/worker/compute-api.ts';
import { present } from '../../src/core/assert.ts';
import { utf8, type Bytes } from '../../src/core/bytes.ts';
import { sha256, sha256Text } from '../../src/core/hash.ts';
import { jobOfManifest } from '../../src/core/ids.ts';
import { expectInput } from '../../src/core/result.ts';
import type { Artifact } from '../../src/protocol/artifact.ts';
import {
  decodeManifest,
  encodeManifest,
  type ElementType,
  type Manifest,
  type ShaderBuffer,
} from '../../src/protocol/manifest.ts';
import type { DeviceDescription } from '../../src/protocol/messages.ts';
import type { Chunks } from '../../src/protocol/ports.ts';

export type BufferSketch =
  | { readonly binding: number; readonly kind: 'unit' }
  | { readonly binding: number; readonly kind: 'input' | 'uniform'; readonly u32: readonly number[] }
  | { readonly binding: number; readonly kind: 'each'; readonly u32: readonly (readonly number[])[] }
  | {
      readonly binding: number;
      readonly kind: 'scratch' | 'output';
      readonly type: ElementType;
      readonly count: number;
    };

export interface JobSketch {
  /** A file of `e2e/shaders`, or WGSL text in `wgsl`. */
  readonly shader?: string;
  readonly wgsl?: string;
  readonly constants?: Record<string, number>;
  readonly buffers: readonly BufferSketch[];
  readonly steps: readonly { entryPoint: string; grid: [number, number, number]; repeat?: number }[];
  readonly loop?: number;
  readonly units?: number;
  readonly unitSeconds?: number;
}

export interface ComputePage {
  open(options?: ComputeOptions): Promise<DeviceDescription>;
  /** Bytes of the result. */
  run(job: JobSketch, unit: number): Promise<number[]>;
  /** Starts a unit and, once it made some progress, does what is said; gives the name and text of the error, and how long it took to come. */
  runUntil(job: JobSketch, then: 'abort' | 'close'): Promise<{ name: string; message: string; ms: number }>;
  setDuty(fraction: number): Promise<void>;
  closeJobs(): Promise<void>;
  usage(): Promise<ComputeUsage>;
  close(): void;
}

const shaders = import.meta.glob<string>('../shaders/*.wgsl', { query: '?raw', import: 'default', eager: true });
const stored = new Map<string, Bytes>();
let compute: SpawnedCompute | undefined;
const opened = (): SpawnedCompute => present(compute, 'open first');

function artifactOf(bytes: Bytes): Artifact {
  const digest = sha256(bytes);
  stored.set(digest, bytes);
  return { bytes: bytes.byteLength, chunks: [digest] };
}
const words = (values: readonly number[]): Bytes => new Uint8Array(new Uint32Array(values).buffer);

function bufferOf(buffer: BufferSketch): ShaderBuffer {
  if ('count' in buffer || !('u32' in buffer)) return buffer;
  if (buffer.kind !== 'each')
    return { binding: buffer.binding, kind: buffer.kind, data: artifactOf(words(buffer.u32)) };
  const sizes = buffer.u32.map((values) => values.length * 4);
  return { binding: buffer.binding, kind: 'each', data: artifactOf(words(buffer.u32.flat())), sizes };
}

function manifestOf(job: JobSketch): Manifest {
  const manifest: Manifest = {
    version: 1,
    name: 'sketch',
    nonce: '0'.repeat(32),
    submitter: '0'.repeat(64) as Manifest['submitter'],
    expires: 0,
    price: 1,
    units: job.units ?? 1,
    verify: { replicas: 1, absolute: 0, relative: 0 },
    limits: { unitSeconds: job.unitSeconds ?? 30 },
    program: 'shader',
    shader: {
      wgsl: artifactOf(utf8(job.wgsl ?? present(shaders[`../shaders/${job.shader}`], `no ${job.shader}`))),
      constants: job.constants ?? {},
      buffers: job.buffers.map(bufferOf),
      steps: job.steps.map((step) => ({ repeat: 1, ...step })),
      loop: job.loop ?? 1,
    },
  };
  return expectInput(decodeManifest(encodeManifest(manifest)));
}

const chunks: Chunks = {
  read: (artifact) => chunks.readRange(artifact, 0, artifact.bytes),
  async readRange(artifact, start, end) {
    // A view of kept memory on purpose: the border must not take it away.
    return present(stored.get(artifact.chunks[0] ?? ''), 'no such chunk').subarray(start, end);
  },
};

const jobOf = (manifest: Manifest) => jobOfManifest(sha256Text(JSON.stringify(manifest)));
const jobs = new Set<ReturnType<typeof jobOf>>();

function start(job: JobSketch, unit: number, signal: AbortSignal, progress: (done: number) => void): Promise<Bytes> {
  const manifest = manifestOf(job);
  const id = jobOf(manifest);
  jobs.add(id);
  return opened().run({ lease: { job: id, unit }, manifest, chunks, signal, progress });
}

const page: ComputePage = {
  async open(options = {}) {
    compute = await spawnCompute(options);
    return compute.device;
  },
  run: async (job, unit) => [...(await start(job, unit, new AbortController().signal, () => undefined))],
  async runUntil(job, then) {
    const abort = new AbortController();
    let since = NaN;
    const stop = (): void => {
      if (Number.isNaN(since)) since = performance.now();
      if (then === 'abort') abort.abort();
      else opened().close();
    };
    try {
      await start(job, 0, abort.signal, stop);
    } catch (error) {
      if (error instanceof Error) {
        return { name: error.name, message: error.message, ms: performance.now() - since };
      }
    }
    return { name: 'none', message: 'the unit ended', ms: NaN };
  },
  setDuty: (fraction) => opened().setDuty(fraction),
  async closeJobs() {
    for (const job of jobs) await opened().closeJob(job);
    jobs.clear();
  },
  usage: () => opened().usage(),
  close: () => opened().close(),
};

declare global {
  interface Window {
    computePage: ComputePage;
  }
}
window.computePage = page;
