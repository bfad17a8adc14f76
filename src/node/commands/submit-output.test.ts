import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256Large } from '../../adapters/crypto/sha256-large.ts';
import type { AcceptedUnit } from '../../assembly/submitter.ts';
import type { AccountId, Digest, JobId, PeerId } from '../../core/ids.ts';
import { InputError } from '../../core/result.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { messageExamples } from '../../protocol/message-examples.ts';
import { checkOutput, openOutputFolder, submitSummary, unitFileName, type JobRecord } from './submit-output.ts';

const job = 'ab'.repeat(32) as JobId;
const manifest: Manifest = {
  version: 1,
  name: 'x',
  nonce: '0'.repeat(32),
  submitter: '1'.repeat(64) as AccountId,
  expires: 1,
  price: 1,
  units: 3,
  verify: { replicas: 2, absolute: 0, relative: 0 },
  limits: { unitSeconds: 30 },
  program: 'shader',
  shader: {
    wgsl: { bytes: 1, chunks: ['c'.repeat(64) as Digest] },
    constants: {},
    buffers: [{ binding: 0, kind: 'output', type: 'u32', count: 1 }],
    steps: [{ entryPoint: 'main', grid: [1, 1, 1], repeat: 1 }],
    loop: 1,
  },
};
const by: AcceptedUnit['by'] = [
  {
    account: '2'.repeat(64) as AccountId,
    peer: '3'.repeat(32) as PeerId,
    deviceClass: 'google swiftshader chromium',
    receipt: '4'.repeat(64) as Digest,
  },
];
async function accepted(unit: number, ...content: number[]): Promise<AcceptedUnit> {
  const bytes = Uint8Array.from(content);
  return { unit, bytes, digest: await sha256Large(bytes), by };
}

describe('the output folder', () => {
  let out: string;
  beforeEach(async () => {
    out = join(await mkdtemp(join(tmpdir(), 'submit-output-')), 'results');
  });
  afterEach(() => rm(join(out, '..'), { recursive: true }));

  test('holds a file a unit and what is known of the job', async () => {
    const folder = await openOutputFolder(out, job, manifest, sha256Large);
    expect(folder.have).toEqual([]);
    await folder.write(await accepted(2, 7, 0, 0, 0));
    await folder.write(await accepted(0, 5, 0, 0, 0));
    await folder.writeReduced(Uint8Array.of(12, 0, 0, 0));
    await folder.save('done');
    expect((await readdir(out)).toSorted()).toEqual(['000000.bin', '000002.bin', 'job.json', 'reduced.bin']);
    expect([...(await readFile(join(out, unitFileName(2))))]).toEqual([7, 0, 0, 0]);
    const record = JSON.parse(await readFile(join(out, 'job.json'), 'utf8')) as JobRecord;
    expect([record.job, record.state]).toEqual([job, 'done']);
    expect(record.manifest).toEqual(manifest);
    expect(record.units.map(({ unit }) => unit)).toEqual([0, 2]);
    expect(record.units[0]?.receipts).toEqual(by);
    expect(record.reduced).toBe(await sha256Large(Uint8Array.of(12, 0, 0, 0)));
  });

  test('goes on where it stopped, but trusts no file that changed, is gone or was never listed', async () => {
    const first = await openOutputFolder(out, job, manifest, sha256Large);
    for (const unit of [0, 1, 2]) await first.write(await accepted(unit, unit, 1, 1, 1));
    await first.save();
    await first.write(await accepted(3, 9, 9, 9, 9));
    await writeFile(join(out, unitFileName(1)), Uint8Array.of(0, 0, 0, 0));
    await rm(join(out, unitFileName(2)));
    const second = await openOutputFolder(out, job, manifest, sha256Large);
    expect(second.have).toEqual([0]);
    await second.write(await accepted(1, 1, 1, 1, 1));
    await second.save();
    expect((await openOutputFolder(out, job, manifest, sha256Large)).have).toEqual([0, 1]);
  });

  test('loses the outputs of an earlier job', async () => {
    const first = await openOutputFolder(out, job, manifest, sha256Large);
    await first.write(await accepted(1, 1, 1, 1, 1));
    await first.writeReduced(Uint8Array.of(1));
    await first.save('done');
    const other = await openOutputFolder(out, 'cd'.repeat(32) as JobId, manifest, sha256Large);
    expect(other.have).toEqual([]);
    expect(await readdir(out)).toEqual(['job.json']);
  });

  test('with a stranger’s job.json is refused, before and after a job was submitted', async () => {
    await mkdir(out);
    await checkOutput(out);
    for (const text of ['{"name":"scale points"}', '{', '[]']) {
      await writeFile(join(out, 'job.json'), text);
      await expect(checkOutput(out)).rejects.toThrow(/job\.json there is none of tabswarm's; choose another folder/);
      await expect(openOutputFolder(out, job, manifest, sha256Large)).rejects.toThrow(InputError);
    }
  });

  test('is summed up in the fields that the format lists', () => {
    const { job: id, units, accepted: done, attempts, disagreements, state } = messageExamples['job-state'];
    expect(submitSummary(messageExamples['job-state'], 1.5, undefined)).toEqual({
      job: id,
      state,
      units,
      accepted: done,
      attempts,
      disagreements,
      seconds: 1.5,
      out: null,
    });
  });
});
