/**
 * Who owns which page of a stage's cache: sequences get a slot and all the pages that they may ever need when they are
 * opened, so that whoever was let in can finish. Pages of a shared prefix have several owners and are kept until the last
 * one closes. What lies in the pages is the stage's matter (`stage.ts`); the kernels' side is `kernels/pages.ts`.
 */

import { assert, present } from '../core/assert.ts';

export interface PageTableOptions {
  readonly pages: number;
  /** Positions of a page. */
  readonly pageTokens: number;
  /** Sequences that may be open at once. */
  readonly slots: number;
}

/** A sequence begins with the first `tokens` positions of another, which must have been computed. */
export interface SharedPrefix {
  readonly of: number;
  readonly tokens: number;
}

export interface OpenedSequence {
  readonly slot: number;
  /** In the order of positions. */
  readonly pages: readonly number[];
  /** Where the prefix ends within a page, that page's owner keeps it and this sequence starts from a copy. */
  readonly copied?: { readonly from: number; readonly to: number };
  /** Positions before this lie in pages that others own too: they may be read and never written. */
  readonly sharedTokens: number;
}

export interface PageTable {
  readonly pagesFree: number;
  readonly slotsFree: number;
  /** Pages that a sequence of so many tokens takes anew; `prefix` as for `open`. */
  pagesFor(tokensMax: number, prefix?: SharedPrefix): number;
  /** Undefined where slots or pages are lacking; nothing has changed then. The id must be new, the prefix's owner open. */
  open(sequence: number, tokensMax: number, prefix?: SharedPrefix): OpenedSequence | undefined;
  find(sequence: number): OpenedSequence | undefined;
  /** Frees what nobody else owns; a sequence that is not open is no mistake. */
  close(sequence: number): void;
  /** How many sequences own each page. */
  owners(): readonly number[];
}

export function createPageTable({ pages, pageTokens, slots }: PageTableOptions): PageTable {
  const owners = new Array<number>(pages).fill(0);
  // Taken from the end: the lowest numbers first.
  const freePages = Array.from({ length: pages }, (_, index) => pages - 1 - index);
  const freeSlots = Array.from({ length: slots }, (_, index) => slots - 1 - index);
  const sequences = new Map<number, OpenedSequence>();
  const pagesFor = (tokensMax: number, prefix?: SharedPrefix): number =>
    Math.ceil(tokensMax / pageTokens) - Math.floor((prefix?.tokens ?? 0) / pageTokens);
  return {
    get pagesFree() {
      return freePages.length;
    },
    get slotsFree() {
      return freeSlots.length;
    },
    pagesFor,
    open(sequence, tokensMax, prefix) {
      assert(!sequences.has(sequence), `sequence ${sequence} is open already`);
      const from = prefix && present(sequences.get(prefix.of), `sequence ${prefix.of}, a prefix, is not open`);
      const prefixTokens = prefix?.tokens ?? 0;
      assert(prefixTokens <= tokensMax, `a prefix of ${prefixTokens} tokens in a sequence of ${tokensMax}`);
      const wanted = pagesFor(tokensMax, prefix);
      const slot = freeSlots.at(-1);
      if (slot === undefined || wanted > freePages.length) return undefined;
      freeSlots.pop();
      const shared = from?.pages.slice(0, Math.floor(prefixTokens / pageTokens)) ?? [];
      const own = freePages.splice(freePages.length - wanted).toReversed();
      for (const page of [...shared, ...own]) owners[page] = (owners[page] ?? 0) + 1;
      const partial = prefixTokens % pageTokens === 0 ? undefined : from?.pages[shared.length];
      const [first] = own;
      const opened: OpenedSequence = {
        slot,
        pages: [...shared, ...own],
        sharedTokens: shared.length * pageTokens,
        ...(partial !== undefined && first !== undefined && { copied: { from: partial, to: first } }),
      };
      sequences.set(sequence, opened);
      return opened;
    },
    find: (sequence) => sequences.get(sequence),
    close(sequence) {
      const opened = sequences.get(sequence);
      if (opened === undefined) return;
      sequences.delete(sequence);
      freeSlots.push(opened.slot);
      for (const page of opened.pages) {
        const left = (owners[page] ?? 0) - 1;
        assert(left >= 0, `page ${page} was freed twice`);
        owners[page] = left;
        if (left === 0) freePages.push(page);
      }
    },
    owners: () => owners,
  };
}
