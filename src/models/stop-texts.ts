/**
 * Texts that end an answer wherever they appear, also across the borders of tokens: what could be their beginning is held back
 * until more is known. Which token a text came from is left to the caller.
 */

export interface StopFilter {
  /** What may be shown after this piece; `stopped` where a stop text is complete, which is not shown. */
  push(piece: string): { readonly text: string; readonly stopped: boolean };
  /** What was held back, when nothing more comes. */
  end(): string;
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  const texts = stops.filter((stop) => stop !== '');
  let held = '';
  return {
    push(piece) {
      held += piece;
      const found = firstOf(texts, held);
      const shown = found ?? held.length - beginningAtEnd(texts, held);
      const text = held.slice(0, shown);
      held = found === undefined ? held.slice(shown) : '';
      return { text, stopped: found !== undefined };
    },
    end() {
      const text = held;
      held = '';
      return text;
    },
  };
}

/** Where the first of the texts begins. */
function firstOf(texts: readonly string[], held: string): number | undefined {
  const places = texts.map((text) => held.indexOf(text)).filter((place) => place >= 0);
  return places.length === 0 ? undefined : Math.min(...places);
}

/** The length of the longest end of `held` with which one of the texts begins. */
function beginningAtEnd(texts: readonly string[], held: string): number {
  let longest = 0;
  for (const text of texts) {
    for (let length = Math.min(text.length - 1, held.length); length > longest; length--)
      if (held.endsWith(text.slice(0, length))) longest = length;
  }
  return longest;
}
