/** The language features of the protocol, on trace documents; experiment files have diagnostics only. */
import {
  type CancellationToken,
  CodeActionKind,
  type ServerCapabilities,
  TextDocumentSyncKind,
} from 'vscode-languageserver/node';
import { codeActions } from '../language/actions.ts';
import { headerCompletion } from '../language/header.ts';
import { inlayHints } from '../language/hints.ts';
import { hover, type ModelFacts, pivotUnder } from '../language/hover.ts';
import { codeLenses } from '../language/lenses.ts';
import type { OpenTrace } from '../language/open-trace.ts';
import { documentSymbols, foldingRanges } from '../language/outline.ts';
import type { Services } from './services.ts';

export const capabilities: ServerCapabilities = {
  textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental },
  hoverProvider: true,
  codeLensProvider: { resolveProvider: false },
  codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix, CodeActionKind.RefactorRewrite] },
  inlayHintProvider: true,
  documentSymbolProvider: true,
  foldingRangeProvider: true,
  completionProvider: {},
  workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
};

/** How long (milliseconds) a hover waits for the completions of a pivot; longer ones are there for the next hover. */
const PATIENCE_MS = 1500;

export function answerFeatures({ connection, answers, branches, documents, scores }: Services): void {
  /** Answers for an open trace document; what is no trace has nothing to show. */
  const on =
    <P extends { textDocument: { uri: string } }, R>(
      name: string,
      none: R,
      answer: (trace: OpenTrace, params: P, token: CancellationToken) => R | Promise<R>,
    ) =>
    (params: P, token: CancellationToken) =>
      answers.guard(name, token, () => {
        const read = documents.get(params.textDocument.uri);
        return read ? answer(read.trace, params, token) : none;
      });

  const facts = (trace: OpenTrace): ModelFacts => ({
    score: (token) => trace.tokens && scores.known(trace.uri, token, trace.tokens.ids),
    branches: (token) => branches.known(trace, token),
  });

  connection.onHover(
    on('hover', null, async (trace, { position }, cancel) => {
      const { uri, version } = trace;
      const pivot = pivotUnder(trace, position);
      // Without them there is the rest to be told.
      const found =
        pivot === null
          ? null
          : await branches.soon({ uri, version }, pivot, PATIENCE_MS, cancel).catch(() => null);
      return hover(trace, position, { ...facts(trace), branches: () => found });
    }),
  );
  connection.onCodeLens(on('codeLens', [], (trace) => codeLenses(trace, facts(trace))));
  // A lens says all that it has to say at once.
  connection.onCodeLensResolve((lens) => lens);
  connection.onCodeAction(
    on('codeAction', [], (trace, { range, context }) => {
      const wanted = context.only;
      const all = codeActions(trace, range, facts(trace));
      return wanted ? all.filter(({ kind }) => wanted.some((one) => kind?.startsWith(one))) : all;
    }),
  );
  connection.languages.inlayHint.on(on('inlayHint', [], (trace, { range }) => inlayHints(trace, range)));
  connection.onDocumentSymbol(on('documentSymbol', [], (trace) => documentSymbols(trace)));
  connection.onFoldingRanges(on('foldingRange', [], (trace) => foldingRanges(trace)));
  connection.onCompletion(on('completion', [], (trace, { position }) => headerCompletion(trace, position)));
}
