/** The volunteer's page: connects the view's buttons to a volunteer, and renders what it publishes. */

import { render } from 'lit';
import { parseJson, v } from '../core/schema.ts';
import { openBrowserVolunteer } from '../assembly/browser-volunteer.ts';
import { stoppedView } from '../assembly/volunteer-view.ts';
import { hubOfPage, type PageHub } from './hub-of-page.ts';
import { volunteerPage, type AnnouncedJob } from './volunteer-page.ts';

export async function openVolunteerDoor(root: HTMLElement): Promise<void> {
  let hub: PageHub;
  try {
    hub = hubOfPage(location);
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    const nothing = (): void => {};
    const actions = { start: nothing, pause: nothing, resume: nothing, stop: nothing };
    render(volunteerPage({ ...stoppedView('unknown'), problem }, undefined, actions), root);
    return;
  }
  let announced: readonly AnnouncedJob[] | undefined;
  const volunteer = openBrowserVolunteer({
    address: hub.address,
    addressText: hub.text,
    lie: new URLSearchParams(location.search).has('lie'),
    changed: () => show(),
    outdated: () => location.reload(),
  });
  const actions = {
    start: () => volunteer.start(),
    pause: () => volunteer.pause('paused'),
    resume: () => volunteer.resume(),
    stop: () => void volunteer.stop(),
  };
  const show = (): void => {
    const view = volunteer.view();
    document.title = `${titleOf[view.phase]} · tabswarm`;
    render(volunteerPage(view, announced, actions), root);
  };
  show();
  if (hub.address.kind === 'url') {
    announced = await announcedJobs(hub.address.url);
    show();
  }
}

const titleOf = { stopped: 'Stopped', starting: 'Starting', running: 'Running', paused: 'Paused', failed: 'Problem' };

const announcedSchema = v.object({
  jobs: v.array(v.object({ name: v.string(), program: v.string(), submitter: v.string(), state: v.string() })),
});

/** What is waiting at the hub, for people who have not started yet; undefined where the hub does not tell. */
async function announcedJobs(hub: string): Promise<readonly AnnouncedJob[] | undefined> {
  try {
    const response = await fetch(`${hub}/jobs.json`);
    const parsed = parseJson(announcedSchema, await response.text(), 'jobs.json');
    return parsed.ok
      ? parsed.value.jobs.filter((job) => job.state === 'running' || job.state === 'waiting')
      : undefined;
  } catch {
    return undefined;
  }
}
