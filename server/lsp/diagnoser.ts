import type { PublishDiagnosticsParams, TextDocuments } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { diagnostics } from '../language/diagnostics.ts';
import { experimentDiagnostics, isExperiment } from './experiments.ts';
import type { Services } from './services.ts';

/** A change is looked at once the typing has paused. */
const PAUSE_MS = 200;

/** Publishes what is wrong with open documents. */
export class Diagnoser {
  private readonly texts: TextDocuments<TextDocument>;
  private readonly parts: Pick<Services, 'documents' | 'options' | 'mayRead'>;
  private readonly publish: (params: PublishDiagnosticsParams) => void;
  private readonly log: (where: string, error: unknown) => void;
  private readonly waiting = new Map<string, NodeJS.Timeout>();

  constructor(
    texts: TextDocuments<TextDocument>,
    parts: Pick<Services, 'documents' | 'options' | 'mayRead'>,
    publish: (params: PublishDiagnosticsParams) => void,
    log: (where: string, error: unknown) => void,
  ) {
    this.texts = texts;
    this.parts = parts;
    this.publish = publish;
    this.log = log;
  }

  now(uri: string): void {
    clearTimeout(this.waiting.get(uri));
    this.waiting.delete(uri);
    const source = this.texts.get(uri);
    if (!source) return;
    try {
      const found = this.find(source);
      if (found) this.publish({ uri, version: source.version, diagnostics: found });
    } catch (error) {
      this.log(`diagnostics of ${uri}`, error);
    }
  }

  later(uri: string): void {
    clearTimeout(this.waiting.get(uri));
    this.waiting.set(
      uri,
      setTimeout(() => this.now(uri), PAUSE_MS),
    );
  }

  /** The settings have changed: what a document's model is may have. */
  all(): void {
    for (const uri of this.texts.keys()) this.later(uri);
  }

  clear(uri: string): void {
    clearTimeout(this.waiting.get(uri));
    this.waiting.delete(uri);
    this.publish({ uri, diagnostics: [] });
  }

  close(): void {
    for (const timer of this.waiting.values()) clearTimeout(timer);
    this.waiting.clear();
  }

  /** null: a document that is none of ours. */
  private find(source: TextDocument): PublishDiagnosticsParams['diagnostics'] | null {
    const read = this.parts.documents.get(source.uri);
    if (!read) return isExperiment(source) ? experimentDiagnostics(source, this.parts) : null;
    const { trace, model } = read;
    const named = trace.document.model;
    // Of a model that may not be looked at nothing is known.
    const looked = trace.model !== null && this.parts.mayRead(trace.model);
    const modelProblem =
      model === null && named !== null && looked
        ? `There is no tokenizer in ${trace.model ?? named}. Correct the path, or choose a model in the settings.`
        : null;
    return diagnostics(trace, { modelProblem });
  }
}
