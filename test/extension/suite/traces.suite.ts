import assert from 'node:assert/strict';
import {
  type CodeAction,
  type CodeLens,
  commands,
  DiagnosticSeverity,
  type DocumentSymbol,
  type FoldingRange,
  type Hover,
  type InlayHint,
  languages,
  MarkdownString,
  Position,
  Range,
  Selection,
  type TextEditor,
  workspace,
} from 'vscode';
import { type DocumentPivot, view } from '../../../server/protocol/traces.ts';
import { api, openTrace, scored, until, wrongWithPivot } from './session.ts';

const ask = <T>(name: string, ...args: unknown[]): Thenable<T> =>
  commands.executeCommand<T>(`vscode.execute${name}`, ...args);

let editor: TextEditor;
let pivot: DocumentPivot;
let all: Range;

const textOf = (hovers: Hover[]) =>
  hovers
    .flatMap(({ contents }) => contents)
    .map((content) => (content instanceof MarkdownString ? content.value : String(content)))
    .join('\n');

const start = ({ range }: DocumentPivot) => new Position(range.start.line, range.start.character);

describe('a trace document', () => {
  before(async () => {
    const { engine } = await api();
    editor = await openTrace(wrongWithPivot);
    const { document } = editor;
    const shown = await engine.request(view, { uri: document.uri.toString(), version: document.version });
    assert.equal(shown.correct, false);
    pivot = shown.pivots[0]!;
    all = new Range(0, 0, document.lineCount, 0);
  });

  it('is of our language, with its own defaults', () => {
    assert.equal(editor.document.languageId, 'cca-trace');
    assert.equal(workspace.getConfiguration('editor', editor.document).get('wordWrap'), 'on');
  });

  it('has its overlay', async () => {
    const state = await scored(editor);
    assert.equal(state.overlay, 'surprisal');
    assert.equal(state.problem, null);
    assert.ok(state.timing.first! <= state.timing.complete!);
  });

  it('hovers say what the model thought of a token', async () => {
    const text = textOf(await ask<Hover[]>('HoverProvider', editor.document.uri, start(pivot)));
    assert.match(text, /probability [\d.]+%/);
    assert.match(text, /rank \d+/);
    assert.match(text, /entropy [\d.]+ nats/);
    assert.match(text, /\*\*Pivot\*\*/);
    // What follows from either token, without having been asked for before.
    const branches = await until('the branches', async () => {
      const shown = textOf(await ask<Hover[]>('HoverProvider', editor.document.uri, start(pivot)));
      return shown.includes('hover again') ? null : shown;
    });
    assert.match(branches, /After .*\(desired\): answer -?\d+, right/);
    assert.match(branches, /After .*\(undesired\): answer -?\d+, wrong/);
    await until('the answers in the lens', async () => {
      const lenses = await ask<CodeLens[]>('CodeLensProvider', editor.document.uri, 100);
      return lenses.some(({ command }) => /gives -?\d+ ✗.*gives -?\d+ ✓/.test(command?.title ?? ''));
    });
    const header = textOf(await ask<Hover[]>('HoverProvider', editor.document.uri, new Position(2, 1)));
    assert.ok(header.length > 0);
  });

  it('has lenses on its pivot, whose commands are there', async () => {
    const lenses = await ask<CodeLens[]>('CodeLensProvider', editor.document.uri, 100);
    const titles = lenses.map(({ command }) => command?.title ?? '');
    assert.ok(
      titles.some((title) => title.includes('show branches')),
      titles.join('; '),
    );
    for (const title of ['accept', 'reject', 'move', 'swap', 'desired token…']) {
      assert.ok(titles.includes(title), `${title} is not among ${titles.join('; ')}`);
    }
    const known = new Set(await commands.getCommands(true));
    for (const { command } of lenses) assert.ok(known.has(command!.command), command!.command);
  });

  it('offers code actions on the pivot, with the model’s alternatives', async () => {
    const at = start(pivot);
    const actions = await ask<CodeAction[]>('CodeActionProvider', editor.document.uri, new Range(at, at));
    const titles = actions.map(({ title }) => title);
    for (const wanted of [/^Accept the pivot/, /^Reject the pivot/, /^Set the desired token to .*%\)$/]) {
      assert.ok(
        titles.some((title) => wanted.test(title)),
        `${wanted}: ${titles.join('; ')}`,
      );
    }
    assert.ok(titles.includes('Exclude this trace from training'));
  });

  it('shows the desired token beside the undesired one', async () => {
    const hints = await ask<InlayHint[]>('InlayHintProvider', editor.document.uri, all);
    assert.equal(hints.length, 1);
    assert.ok(String(hints[0]!.label).includes(JSON.stringify(pivot.desired.text).slice(1, -1)));
  });

  it('is diagnosed as wrong', async () => {
    const found = await until('diagnostics', () => {
      const list = languages.getDiagnostics(editor.document.uri);
      return list.length > 0 ? list : null;
    });
    assert.deepEqual(
      found.map(({ code, severity }) => [code, severity]),
      [['wrong-answer', DiagnosticSeverity.Warning]],
    );
  });

  it('has an outline and folds its header', async () => {
    const symbols = await ask<DocumentSymbol[]>('DocumentSymbolProvider', editor.document.uri);
    assert.match(symbols[0]!.name, /^Problem /);
    assert.equal(symbols[1]!.name, 'Completion');
    assert.match(symbols.at(-1)!.name, /^Answer /);
    assert.ok(symbols[1]!.children.length > 0);
    const folds = await ask<FoldingRange[]>('FoldingRangeProvider', editor.document.uri);
    assert.ok(folds.some((fold) => fold.start === 0));
  });

  it('attributes the pivot under the cursor to earlier tokens', async () => {
    const { traces } = await api();
    const at = start(pivot);
    editor.selection = new Selection(at, at);
    const { timing } = await until('the attribution', () => {
      const state = traces.state();
      return state?.attribution === pivot.token ? state : null;
    });
    assert.ok(timing.attribution! > 0);
    editor.selection = new Selection(0, 0, 0, 0);
    await until('no attribution', () => traces.state()?.attribution === null);
  });

  it('follows the overlay setting', async () => {
    const { traces } = await api();
    const own = workspace.getConfiguration('circuitAmplifier');
    await own.update('overlay.kind', 'entropy', true);
    await until('entropy', () => traces.state()?.overlay === 'entropy');
    await commands.executeCommand('circuitAmplifier.toggleOverlay');
    await until('off', () => traces.state()?.overlay === 'off');
    await commands.executeCommand('circuitAmplifier.toggleOverlay');
    await until('entropy again', () => traces.state()?.overlay === 'entropy');
    await own.update('overlay.kind', undefined, true);
    await until('the default', () => traces.state()?.overlay === 'surprisal');
  });
});
