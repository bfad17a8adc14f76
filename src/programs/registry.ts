/** Every program that a volunteer can open, by the name that manifests use. */

import type { ProgramName } from '../protocol/manifest.ts';
import { openGenerateProgram } from './generate.ts';
import type { OpenProgramFunction } from './program.ts';
import { openServeProgram } from './serve.ts';
import { openShaderProgram } from './shader.ts';
import { openTrainProgram } from './train.ts';

export const programs: Readonly<Record<ProgramName, OpenProgramFunction>> = {
  shader: openShaderProgram,
  train: openTrainProgram,
  generate: openGenerateProgram,
  serve: openServeProgram,
};
