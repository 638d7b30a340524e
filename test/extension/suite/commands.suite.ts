import assert from 'node:assert/strict';
import { commands, Selection, type TextEditor, window, workspace } from 'vscode';
import { view } from '../../../server/protocol/traces.ts';
import { accepting, api, openTrace, run, smallRun, tab, until, wrongWithPivot } from './session.ts';

describe('commands on a trace', () => {
  let editor: TextEditor;
  let target: { uri: string; token: number };

  before(async () => {
    const { engine } = await api();
    editor = await openTrace(wrongWithPivot);
    const { uri, version } = editor.document;
    const { pivots } = await engine.request(view, { uri: uri.toString(), version });
    target = { uri: uri.toString(), token: pivots[0]!.token };
  });
  after(() => commands.executeCommand('workbench.action.closeAllEditors'));

  it('nextPivot and previousPivot go to it from either side', async () => {
    const { engine } = await api();
    const { uri, version } = editor.document;
    const { pivots } = await engine.request(view, { uri: uri.toString(), version });
    const places = pivots.map(({ range }) => [range.start.line, range.start.character]);
    const here = () => [editor.selection.active.line, editor.selection.active.character];
    editor.selection = new Selection(0, 0, 0, 0);
    await run('nextPivot');
    await until('the first pivot', () => String(here()) === String(places[0]));
    const end = editor.document.lineCount - 1;
    editor.selection = new Selection(end, 0, end, 0);
    await run('previousPivot');
    await until('the last pivot', () => String(here()) === String(places.at(-1)));
  });

  it('chooseOverlay takes what is chosen', async () => {
    const { traces } = await api();
    await accepting(run('chooseOverlay'));
    const own = workspace.getConfiguration('circuitAmplifier');
    assert.equal(own.inspect('overlay.kind')?.globalValue, traces.state()?.overlay);
    await own.update('overlay.kind', undefined, true);
  });

  it('showBranches completes from both tokens, and sets them side by side', async () => {
    const found = await run<{ role: string; correct: boolean }[]>('showBranches', { ...target, as: 'diff' });
    assert.deepEqual(found.map(({ role, correct }) => [role, correct]).sort(), [
      ['desired', true],
      ['undesired', false],
    ]);
    await tab(/^undesired .*✗.*↔.*desired .*✓/);
    await window.showTextDocument(editor.document);
  });

  it('explainToken leads from a pivot through a component to the circuit panel', async () => {
    await accepting(run('explainToken', target));
    await tab(/^Circuit of small$/);
    await window.showTextDocument(editor.document);
  });

  it('chooseDiff compares what is chosen, and openDiff shows it as a diff editor', async () => {
    const { traces } = await api();
    type Shown = { from: unknown; to: unknown; diff: { firstDivergence: number | null } };
    const shown = await accepting(run<Shown>('chooseDiff'));
    // The document, made by the base model greedily or not, against the base model's own output.
    assert.deepEqual([shown.from, shown.to], [null, []]);
    assert.ok(traces.state()?.verdict);
    await run('openDiff');
    await tab(/document ↔ base/);
    await window.showTextDocument(editor.document);
    await run('clearDiff');
  });

  it('showFlips lists what changed; previousFlip steps back around the beginning', async () => {
    const { traces } = await api();
    const rows = await run<{ id: string }[]>('showFlips', { folder: smallRun() });
    assert.ok(rows.length > 1, 'the small run has too few flips');
    await commands.executeCommand('workbench.action.closeQuickOpen');
    const last = await run<{ id: string }>('previousFlip');
    assert.equal(last.id, rows.at(-1)!.id);
    assert.match(traces.state()!.uri, /\/flips\//);
    assert.equal((await run<{ id: string }>('previousFlip')).id, rows.at(-2)!.id);
  });
});
