/**
 * A whole swarm on this machine for commands that were given no hub: a hub on a free port with a data folder of its own,
 * and as many headless tabs as asked for. It goes away when the command ends.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHubServer, type HubServer } from './hub-server.ts';
import { siteFolder } from './site-folder.ts';
import { openVolunteerTabs, type VolunteerTab, type VolunteerTabs } from './volunteer-tabs.ts';

export interface LocalSwarm {
  readonly server: HubServer;
  readonly tabs: VolunteerTabs;
  readonly open: readonly VolunteerTab[];
  /** A folder that goes away with the swarm. */
  readonly data: string;
  close(): Promise<void>;
}

export interface LocalSwarmOptions {
  /** Honest tabs. */
  readonly tabs: number;
  /** One more that returns flipped bits; needs the site that was built for demonstrations. */
  readonly liar?: boolean;
  /** False opens windows. */
  readonly headless?: boolean;
  readonly report: (line: string) => void;
}

export async function openLocalSwarm(options: LocalSwarmOptions): Promise<LocalSwarm> {
  const data = await mkdtemp(join(tmpdir(), 'tabswarm-'));
  const cleanup: (() => Promise<void>)[] = [() => rm(data, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const one of cleanup.splice(0).toReversed()) await one();
  };
  try {
    const site = siteFolder(options.liar === true ? 'site-demo' : 'site');
    const server = await startHubServer({ port: 0, host: '127.0.0.1', data, site, report: options.report });
    cleanup.push(() => server.close());
    const tabs = await openVolunteerTabs({
      url: server.url,
      report: options.report,
      headless: options.headless ?? true,
    });
    cleanup.push(() => tabs.close());
    // One after another: contexts opened at once fight for the same two cores and all come late.
    const open: VolunteerTab[] = [];
    if (options.liar === true) open.push(await tabs.open({ lie: true }));
    for (let index = 0; index < options.tabs; index++) open.push(await tabs.open());
    return { server, tabs, open, data, close };
  } catch (error) {
    await close();
    throw error;
  }
}
