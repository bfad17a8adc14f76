/** Every program that a volunteer can open, by the name that manifests use. */

import type { ProgramName } from '../protocol/manifest.ts';
import type { OpenProgramFunction } from './program.ts';
import { openShaderProgram } from './shader.ts';

export const programs: Readonly<Partial<Record<ProgramName, OpenProgramFunction>>> = {
  shader: openShaderProgram,
};
