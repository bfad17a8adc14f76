/** The SDK in a browser: reaches hubs over WebRTC. Re-exports only; `node.ts` is its twin under the condition `node`. */

export { connectFromBrowser as connect } from '../assembly/browser-swarm.ts';
export type { MapJob, MapResult, SubmitOptions, Swarm, SwarmJob, UnitResult } from '../assembly/swarm.ts';
export type { UnitOutput } from '../assembly/job.ts';
export type { ShaderJobInput } from '../protocol/job-file.ts';
export type { JobState } from '../protocol/messages.ts';
export { InputError } from '../core/result.ts';
export { JobRefusedError } from '../assembly/submitter.ts';
export { LinkClosedError } from '../protocol/ports.ts';
