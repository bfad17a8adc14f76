/** What a hub has waiting, for people who have not started yet: read from its `/jobs.json`. */

import { parseJson, v } from '../core/schema.ts';
import type { HubAddress } from '../protocol/hub-address.ts';

const announcedSchema = v.object({
  jobs: v.array(
    v.object({
      job: v.string(),
      name: v.string(),
      program: v.string(),
      state: v.string(),
      /** The account that asked; null where the hub cannot tell any more. */
      submitter: v.optional(v.nullable(v.string()), null),
    }),
  ),
});
export type AnnouncedJob = v.InferOutput<typeof announcedSchema>['jobs'][number];

export type Announced =
  | { readonly state: 'asking' }
  /** `untold`: a hub in a tab, or one that keeps its jobs to itself. */
  | { readonly state: 'untold' }
  | { readonly state: 'unreachable' }
  | { readonly state: 'told'; readonly jobs: readonly AnnouncedJob[] };

export async function announcedBy(hub: HubAddress): Promise<Announced> {
  if (hub.kind !== 'url') return { state: 'untold' };
  let text: string;
  try {
    const response = await fetch(`${hub.url}/jobs.json`, { cache: 'no-store' });
    if (!response.ok) return { state: response.status >= 500 ? 'unreachable' : 'untold' };
    text = await response.text();
  } catch {
    return { state: 'unreachable' };
  }
  const parsed = parseJson(announcedSchema, text, 'jobs.json');
  if (!parsed.ok) return { state: 'untold' };
  return { state: 'told', jobs: parsed.value.jobs.filter(({ state }) => state === 'running' || state === 'waiting') };
}
