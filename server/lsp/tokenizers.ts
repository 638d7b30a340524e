import { statSync } from 'node:fs';
import path from 'node:path';
import { loadTokenizer, type Tokenizer } from '../checkpoint/tokenizer.ts';
import { InputError } from '../errors.ts';

const FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
/** Large vocabularies take tens of megabytes. */
const KEPT = 4;

interface Entry {
  key: string;
  /** null: it could not be read. */
  tokenizer: Tokenizer | null;
  problem: InputError | null;
}

/** Tokenizers by model folder, read anew when their files change. They hold no weights and run nothing. */
export class Tokenizers {
  private readonly load: (folder: string) => Tokenizer;
  /** Least recently used first. */
  private readonly entries = new Map<string, Entry>();

  private readonly mayRead: (folder: string) => boolean;

  constructor(mayRead: (folder: string) => boolean, load: (folder: string) => Tokenizer = loadTokenizer) {
    this.mayRead = mayRead;
    this.load = load;
  }

  /** A folder's tokenizer; null where it has none, or a broken one, or may not be looked at. */
  find(folder: string): Tokenizer | null {
    return this.entry(folder).tokenizer;
  }

  /** @throws InputError where the folder has none, or a broken one, or may not be looked at */
  get(folder: string): Tokenizer {
    const { tokenizer, problem } = this.entry(folder);
    if (!tokenizer) throw problem!;
    return tokenizer;
  }

  private entry(folder: string): Entry {
    if (!this.mayRead(folder)) {
      const what = 'lies outside the workspace, which is not trusted';
      return {
        key: '',
        tokenizer: null,
        problem: new InputError(folder, what, 'Trust the workspace to go on.'),
      };
    }
    const key = stampOf(folder, FILES);
    let entry = this.entries.get(folder);
    this.entries.delete(folder);
    if (entry?.key !== key) entry = { key, ...this.read(folder) };
    this.entries.set(folder, entry);
    const [oldest] = this.entries.keys();
    if (this.entries.size > KEPT) this.entries.delete(oldest!);
    return entry;
  }

  private read(folder: string): Pick<Entry, 'tokenizer' | 'problem'> {
    try {
      return { tokenizer: this.load(folder), problem: null };
    } catch (error) {
      if (error instanceof InputError) return { tokenizer: null, problem: error };
      throw error;
    }
  }
}

/** Which version of some files of a folder is there. */
export function stampOf(folder: string, names: readonly string[]): string {
  return names
    .map((name) => {
      const stat = statSync(path.join(folder, name), { throwIfNoEntry: false });
      return stat ? `${stat.size}@${stat.mtimeMs}` : '-';
    })
    .join();
}
