/** Options that several commands share: what they mean, and one line for what they cannot mean. */

import { InvalidArgumentError } from 'commander';

export const hubDefault = 'http://localhost:8787';

export function wholeOption(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`expected a whole number from ${minimum} to ${maximum}`);
  };
}

export const portOption = wholeOption(0, 65535);

export function numberOption(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value >= minimum && value <= maximum) return value;
    throw new InvalidArgumentError(`expected a number from ${minimum} to ${maximum}`);
  };
}

export function patternOption(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

/**
 * How many samples one tab draws together where nobody says: a sixteenth of all, so that up to sixteen tabs share them, and
 * no more than 64. A prompt is worked on once for those of a unit.
 */
export const unitOfSamples = (samples: number): number => Math.min(64, Math.ceil(samples / 16));
