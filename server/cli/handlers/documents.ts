import { writeDocuments } from '../../language/write-documents.ts';
import type { Handlers } from '../commands/index.ts';

/** Needs no engine: documents are text, and the tokenizer alone makes it. */
export const documentHandlers: Pick<Handlers, 'documents'> = {
  documents: async ({ run, out, which, model }, { signal }) => {
    const options = { run, out: out ?? null, which, model: model ?? null, signal };
    const { folder, written, kept, unplaced } = await writeDocuments(options);
    const left =
      unplaced > 0
        ? `${unplaced} pairs are not of their trace's own tokens: they stay in pairs.jsonl alone\n`
        : '';
    const text = `${written} documents written to ${folder}, ${kept} kept as they were\n${left}`;
    return { data: { folder, written, kept, unplaced }, text };
  },
};
