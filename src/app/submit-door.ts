/** `#/submit`: reads the chosen files, submits through the SDK, keeps results until they are downloaded. */

import { render } from 'lit';
import { InputError } from '../core/result.ts';
import { connect, type Swarm, type SwarmJob } from '../sdk/index.ts';
import { hubOfPage } from './hub-of-page.ts';
import { submitPage, type SubmitActions, type SubmitState } from './submit-page.ts';

export async function openSubmitDoor(root: HTMLElement): Promise<void> {
  const hub = hubOfPage(location);
  const files = new Map<string, Uint8Array>();
  let running: SwarmJob | undefined;
  let swarm: Swarm | undefined;
  let state: SubmitState = {
    hub: hub.text,
    files: [],
    job: undefined,
    received: 0,
    download: undefined,
    problem: undefined,
    busy: false,
  };
  const show = (change: Partial<SubmitState>): void => {
    state = { ...state, ...change };
    document.title = `${titleOf(state)} · tabswarm`;
    render(submitPage(state, actions), root);
  };

  const submit = async (): Promise<void> => {
    show({ busy: true, problem: undefined, job: undefined, received: 0, download: undefined });
    try {
      const [name, job] = jobAmong(files);
      swarm ??= await connect(hub.address);
      running = await swarm.submitFile(job, { files: Object.fromEntries(files), where: name });
      running.onChange(() => show({ job: running?.state() }));
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const { unit, bytes } of running) {
        parts[unit] = bytes;
        show({ received: state.received + 1 });
      }
      const ended = await running.finished;
      const download = ended.state === 'done' ? URL.createObjectURL(new Blob(parts)) : undefined;
      show({ job: ended, download, busy: false });
    } catch (error) {
      show({ problem: error instanceof Error ? error.message : String(error), busy: false });
    }
  };

  const actions: SubmitActions = {
    choose: (list) => {
      void readAll(list, files).then(() => show({ files: [...files.keys()] }));
    },
    submit: () => void submit(),
    cancel: () => running?.cancel(),
  };
  show({});
}

function titleOf({ problem, job }: SubmitState): string {
  if (problem !== undefined) return 'Problem';
  if (job === undefined) return 'Submit a job';
  return job.state === 'running' ? `${job.accepted} of ${job.units} units` : `Job ${job.state}`;
}

async function readAll(list: FileList, files: Map<string, Uint8Array>): Promise<void> {
  files.clear();
  for (const file of list) files.set(file.name, new Uint8Array(await file.arrayBuffer()));
}

/** The one chosen file that is a job: JSON with `program`. */
function jobAmong(files: ReadonlyMap<string, Uint8Array>): [string, unknown] {
  for (const [name, bytes] of files) {
    if (!name.endsWith('.json')) continue;
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      throw new InputError(`${name}: not JSON: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (typeof value === 'object' && value !== null && 'program' in value) return [name, value];
  }
  throw new InputError('no job file among the chosen files: a .json file with "program"');
}
