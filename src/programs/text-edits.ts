/** Insertions into a text, gathered by place and applied at once; those at one place keep the order in which they came. */

export interface Edits {
  insert(at: number, text: string): void;
  apply(): string;
}

export function createEdits(text: string): Edits {
  const insertions: { readonly at: number; readonly text: string }[] = [];
  return {
    insert: (at, inserted) => void insertions.push({ at, text: inserted }),
    apply() {
      const parts: string[] = [];
      let done = 0;
      for (const insertion of insertions.toSorted((a, b) => a.at - b.at)) {
        parts.push(text.slice(done, insertion.at), insertion.text);
        done = insertion.at;
      }
      parts.push(text.slice(done));
      return parts.join('');
    },
  };
}
