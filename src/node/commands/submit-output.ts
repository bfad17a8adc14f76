/**
 * What `tabswarm submit --out DIR` leaves: `DIR/<unit, six digits>.bin` and `DIR/job.json` with the manifest and, per
 * unit, the digest of its output and the receipts for it. Files appear whole or not at all, so that a command that was
 * interrupted can go on: units whose file still has its digest are not asked for again.
 */

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AcceptedUnit } from '../../assembly/submitter.ts';
import { InputError } from '../../core/result.ts';
import type { Digest, JobId } from '../../core/ids.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { JobState } from '../../protocol/messages.ts';
import type { DigestBytes } from '../../protocol/ports.ts';

/** One unit in `job.json`. */
export interface UnitRecord {
  readonly unit: number;
  readonly digest: Digest;
  /** Who returned it: account, peer, device class, and the digest of the signed receipt. */
  readonly receipts: AcceptedUnit['by'];
}

export interface JobRecord {
  readonly job: JobId;
  /** `running` in a folder whose command was interrupted. */
  readonly state: JobState['state'];
  readonly manifest: Manifest;
  readonly units: readonly UnitRecord[];
  /** The output of the reduce tree, in `reduced.bin`. */
  readonly reduced?: Digest;
}

/** The `--json` object of `tabswarm submit`. */
export interface SubmitSummary {
  readonly job: JobId;
  readonly state: JobState['state'];
  readonly units: number;
  readonly accepted: number;
  readonly attempts: number;
  readonly disagreements: number;
  readonly seconds: number;
  readonly out: string | null;
}

export interface OutputFolder {
  /** Units that lie there already, whole and with the digest that `job.json` names. */
  readonly have: readonly number[];
  /** Writes one unit's file, and `job.json` every 64 units. */
  write(accepted: AcceptedUnit): Promise<void>;
  writeReduced(bytes: Uint8Array): Promise<void>;
  /** Writes `job.json`; in the end with how the job ended. */
  save(state?: JobState['state']): Promise<void>;
}

const unitsBetweenSaves = 64;

export const unitFileName = (unit: number): string => `${String(unit).padStart(6, '0')}.bin`;

/** Refuses a folder whose `job.json` is somebody else's; to be asked before a job is submitted. */
export async function checkOutput(out: string): Promise<void> {
  await readRecord(out);
}

/** The folder for a job's outputs, made where there is none. Outputs of an earlier job there are removed. */
export async function openOutputFolder(
  out: string,
  job: JobId,
  manifest: Manifest,
  digestOf: DigestBytes,
): Promise<OutputFolder> {
  await mkdir(out, { recursive: true });
  const earlier = await readRecord(out);
  const units = new Map<number, UnitRecord>();
  for (const record of earlier?.units ?? []) {
    const path = join(out, unitFileName(record.unit));
    if (earlier?.job !== job) await rm(path, { force: true });
    else if (await holds(path, record.digest, digestOf)) units.set(record.unit, record);
  }
  let reduced = earlier?.job === job ? earlier.reduced : undefined;
  if (earlier !== undefined && reduced === undefined) await rm(join(out, 'reduced.bin'), { force: true });
  let unsaved = 0;
  const save = async (state: JobState['state'] = 'running'): Promise<void> => {
    const record: JobRecord = {
      job,
      state,
      manifest,
      units: [...units.values()].toSorted((a, b) => a.unit - b.unit),
      ...(reduced === undefined ? {} : { reduced }),
    };
    unsaved = 0;
    await writeWhole(join(out, 'job.json'), new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`));
  };
  await save();
  return {
    have: [...units.keys()].toSorted((a, b) => a - b),
    async write({ unit, bytes, digest, by }) {
      await writeWhole(join(out, unitFileName(unit)), bytes);
      units.set(unit, { unit, digest, receipts: by });
      unsaved++;
      if (unsaved >= unitsBetweenSaves) await save();
    },
    async writeReduced(bytes) {
      await writeWhole(join(out, 'reduced.bin'), bytes);
      reduced = await digestOf(bytes);
    },
    save,
  };
}

/** The object that `--json` prints. */
export function submitSummary(state: JobState, seconds: number, out: string | undefined): SubmitSummary {
  const { job, units, accepted, attempts, disagreements } = state;
  return { job, state: state.state, units, accepted, attempts, disagreements, seconds, out: out ?? null };
}

/** What an earlier run left; undefined where there is none. */
async function readRecord(out: string): Promise<JobRecord | undefined> {
  let text: string;
  try {
    text = await readFile(join(out, 'job.json'), 'utf8');
  } catch {
    return undefined;
  }
  try {
    const record: unknown = JSON.parse(text);
    if (isRecord(record)) return record;
  } catch {
    // Refused below like any other file that is not ours.
  }
  throw new InputError(`--out ${out}: job.json there is none of tabswarm's; choose another folder or remove it`);
}

const isRecord = (value: unknown): value is JobRecord =>
  typeof value === 'object' &&
  value !== null &&
  'job' in value &&
  typeof value.job === 'string' &&
  'units' in value &&
  Array.isArray(value.units) &&
  value.units.every(
    (unit: unknown) =>
      typeof unit === 'object' &&
      unit !== null &&
      'unit' in unit &&
      Number.isInteger(unit.unit) &&
      'digest' in unit &&
      typeof unit.digest === 'string',
  );

async function holds(path: string, digest: Digest, digestOf: DigestBytes): Promise<boolean> {
  try {
    return (await digestOf(await readFile(path))) === digest;
  } catch {
    return false;
  }
}

/** Under another name first, and on the disk before it takes its own. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${path}.${process.pid}.part`;
  try {
    const file = await open(unfinished, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
