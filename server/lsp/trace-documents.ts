import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TextDocuments } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import type { Tokenizer } from '../checkpoint/tokenizer.ts';
import { Cancelled, InputError } from '../errors.ts';
import { OpenTrace } from '../language/open-trace.ts';
import type { ServerOptions } from '../protocol/engine.ts';
import type { DocumentView, OfDocument } from '../protocol/traces.ts';
import { readManifest } from '../runs/manifest.ts';
import { refuseStale } from './answers.ts';
import { isInside } from './inside.ts';
import type { Services } from './services.ts';

const LANGUAGE = 'cca-trace';

type Parts = Pick<Services, 'tokenizers' | 'options' | 'mayRead'>;

/** One version of a trace document with what reads its tokens. */
export interface ReadTrace {
  trace: OpenTrace;
  /** Model folder, absolute; null where there is none. */
  model: string | null;
  tokenizer: Tokenizer | null;
}

/** The open trace documents, each read once a version. */
export class TraceDocuments {
  private readonly texts: Pick<TextDocuments<TextDocument>, 'get'>;
  private readonly parts: Parts;
  private readonly known = new Map<string, ReadTrace>();
  /** What is being worked on, by document. */
  private readonly work = new Map<string, Set<AbortController>>();

  constructor(texts: Pick<TextDocuments<TextDocument>, 'get'>, parts: Parts) {
    this.texts = texts;
    this.parts = parts;
  }

  /** The document as it is now; null where it is not open, or no trace. */
  get(uri: string): ReadTrace | null {
    const source = this.texts.get(uri);
    if (source?.languageId !== LANGUAGE) return null;
    const known = this.known.get(uri);
    const bare = known?.trace.version === source.version ? known.trace : new OpenTrace(source, null);
    const model = this.modelOf(bare);
    const tokenizer = model === null ? null : this.parts.tokenizers.find(model);
    if (known && known.trace === bare && known.model === model && known.tokenizer === tokenizer) return known;
    const read = { trace: new OpenTrace(source, tokenizer), model, tokenizer };
    this.known.set(uri, read);
    return read;
  }

  /** @throws ResponseError (stale) where the document is now another version; InputError where it is no open trace */
  at({ uri, version }: OfDocument): ReadTrace {
    const read = this.get(uri);
    if (!read) throw new InputError(uri, 'is not an open trace document', 'Open it first.');
    return read.trace.version === version ? read : refuseStale(uri);
  }

  /**
   * The same with all that a model is needed for.
   * @throws also InputError where there is no model, or the text is no longer that of the tokens
   */
  withModel(of: OfDocument): { trace: OpenTrace; model: string; tokenizer: Tokenizer } {
    const { trace, model } = this.at(of);
    if (model === null) {
      const remedy = "Correct the model's path in the header, or choose a model in the settings.";
      throw new InputError(trace.file ?? trace.uri, 'has no model', remedy);
    }
    const tokenizer = this.parts.tokenizers.get(model);
    if (trace.tokens === null) {
      const { promptIds, completionIds } = trace.document;
      const what =
        promptIds.length + completionIds.length === 0
          ? 'has no token ids'
          : 'has a text that is not that of its tokens';
      throw new InputError(trace.file ?? trace.uri, what, 'Undo the changes, or restore the document.');
    }
    return { trace, model, tokenizer };
  }

  view(of: OfDocument): DocumentView {
    const { trace, model } = this.at(of);
    return { ...trace.view(), model };
  }

  /**
   * Works on one version of a document for as long as it is the document's: a change of it cancels the work, and the
   * answer is then that the question is out of date.
   */
  async whileCurrent<T>(
    of: OfDocument,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const changed = new AbortController();
    const open = this.work.get(of.uri) ?? new Set();
    this.work.set(of.uri, open.add(changed));
    try {
      return await work(AbortSignal.any([signal, changed.signal]));
    } catch (error) {
      if (changed.signal.aborted) refuseStale(of.uri);
      throw error;
    } finally {
      open.delete(changed);
    }
  }

  /** A document is another version now, or closed. */
  changed(uri: string, { closed }: { closed: boolean }): void {
    for (const controller of this.work.get(uri) ?? []) controller.abort(new Cancelled());
    if (!closed) return;
    this.known.delete(uri);
    this.work.delete(uri);
  }

  /** The document's own model, or that of its run, or the one in the settings: the first that is there. */
  private modelOf(trace: OpenTrace): string | null {
    const { parts } = this;
    const run = trace.run !== null && parts.mayRead(trace.run) ? trace.run : null;
    const candidates = [
      () => trace.model,
      () => modelOfRun(run),
      () => settingFor(parts.options, trace.file),
    ];
    for (const candidate of candidates) {
      const folder = candidate();
      if (folder === null || !parts.mayRead(folder)) continue;
      if (existsSync(path.join(folder, 'tokenizer.json'))) return folder;
    }
    return null;
  }
}

/** Model folder of a run; null where the folder is none, or damaged. */
function modelOfRun(run: string | null): string | null {
  if (run === null) return null;
  try {
    return readManifest(run)?.model?.path ?? null;
  } catch {
    return null;
  }
}

/** The model in the settings of the workspace folder that a document lies in; for others the window's. */
function settingFor({ model, models }: ServerOptions, file: string | null): string | null {
  const own = models.find(({ folder }) => file !== null && isInside(folder, file));
  return own ? own.model : model;
}
