import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, Selection, window, workspace } from 'vscode';
import {
  exportPairs,
  exportPatches,
  flips,
  type PatchRow,
  patches,
  report,
  revertPatches,
} from '../../../server/protocol/runs.ts';
import type { PivotAttribution } from '../../../src/traces/cursor.ts';
import { api, inRoot, openTrace, scored, smallRun, until, wrongWithPivot } from './session.ts';

const run = (name: string, argument?: unknown) =>
  commands.executeCommand(`circuitAmplifier.${name}`, argument);

let row: PatchRow;

describe('views', () => {
  before(async () => {
    const { engine } = await api();
    const { patches: rows } = await engine.request(patches, { folders: [smallRun()] });
    row = rows[0]!;
    assert.ok(row, 'the run has no patch');
  });

  it('Runs: a run with its figures, its stages and its files', async () => {
    const { runsView, catalogue } = await api();
    catalogue.refresh();
    const nodes = await runsView.getChildren();
    const node = nodes.find((one) => one.kind === 'run' && one.row.folder === smallRun());
    assert.ok(node?.kind === 'run');
    const item = runsView.getTreeItem(node);
    assert.match(String(item.description), /[+−][\d.]+ points · \d+ components/);
    assert.match(item.contextValue!, /\brun\b.*\bpatch\b/);
    const children = await runsView.getChildren(node);
    assert.deepEqual(
      children.flatMap((child) => (child.kind === 'stage' ? [child.name] : [])),
      ['traces', 'pivots', 'circuit', 'training', 'evaluation'],
    );
    assert.ok(children.some((child) => child.kind === 'file' && child.name === 'report.json'));
  });

  it('Traces: by outcome and template, filtered', async () => {
    const { tracesView } = await api();
    tracesView.show(smallRun());
    const groups = await tracesView.getChildren();
    assert.deepEqual(
      groups.map((group) => tracesView.getTreeItem(group).label),
      ['wrong', 'right'],
    );
    const templates = await tracesView.getChildren(groups[0]);
    assert.ok(templates.length > 1);
    const [trace] = await tracesView.getChildren(templates[0]);
    assert.ok(trace?.kind === 'trace');
    await run('openTrace', trace);
    assert.equal(window.activeTextEditor?.document.languageId, 'cca-trace');
    tracesView.setFilter('@wrong @pivots');
    const filtered = await tracesView.getChildren();
    assert.deepEqual(
      filtered.map((group) => tracesView.getTreeItem(group).label),
      ['wrong'],
    );
    await run('clearTraceFilter');
    assert.equal((await tracesView.getChildren()).length, 2);
  });

  it('Patches: ticked, scaled and taken out; overlays follow', async () => {
    const { patchesView, patches: active } = await api();
    const editor = await openTrace(({ correct }) => correct === false);
    const nodes = await patchesView.getChildren();
    const node = nodes.find(({ file }) => file === row.file);
    assert.ok(node?.kind === 'patch' && node.place === null);
    await run('applyPatch', node);
    assert.deepEqual(active.refs, [{ file: row.file, scale: 1 }]);
    await scored(editor);
    const [on] = await patchesView.getChildren();
    assert.match(String(patchesView.getTreeItem(on!).description), /^1\. × 1 · \d+ rows/);
    active.update((stack) => stack.map(({ file }) => ({ file, scale: 0.5 })));
    const [half] = await patchesView.getChildren();
    assert.match(String(patchesView.getTreeItem(half!).description), /^1\. × 0\.5/);
    await run('removePatch', on);
    assert.deepEqual(active.refs, []);
    await scored(editor);
  });

  it('the inline diff sets the amplified output against the document’s', async () => {
    const { engine, traces } = await api();
    const all = await engine.request(flips, { folder: smallRun() });
    const flip = all.find(({ kind }) => kind === 'wrong-to-right');
    assert.ok(flip, 'the run flipped nothing to right');
    await traces.flips.open(smallRun(), flip);
    const state = await until('the diff', () => (traces.state()?.verdict ? traces.state() : null));
    assert.match(state.verdict!, /→|->|right/i);
    await run('clearDiff');
    assert.equal(traces.state()?.verdict, null);
    await run('nextFlip');
    await until('the next diff', () => traces.state()?.verdict);
  });

  it('showing a diff shows it, from wherever, and never takes it off', async () => {
    const { traces } = await api();
    await run('openWalkthrough');
    await until('the walkthrough in front', () => window.activeTextEditor === undefined);
    await run('showDiff');
    const uri = await until('the diff', () => (traces.state()?.verdict ? traces.state()!.uri : null));
    await run('showDiff');
    assert.ok(traces.state()?.verdict, 'the diff was taken off');
    await run('toggleDiff');
    assert.equal(traces.state()?.verdict, null);
    await run('toggleDiff');
    assert.ok(traces.state()?.verdict);
    // With no trace open at all it is a flip's.
    await commands.executeCommand('workbench.action.closeAllEditors');
    await run('showDiff');
    const again = await until('a flip', () => (traces.state()?.verdict ? traces.state()!.uri : null));
    assert.match(again, /\/flips\//);
    assert.match(uri, /\.trace$/);
  });

  it('a report is shown as a page', async () => {
    const { engine } = await api();
    assert.ok(await engine.request(report, { folder: smallRun() }));
    await run('showReport', { folder: smallRun() });
    await until('the page', () =>
      window.tabGroups.activeTabGroup.tabs.some(({ label }) => label.includes('Report of small')),
    );
    const { uri } = await until('its document', () =>
      workspace.textDocuments.find(
        (document) => document.uri.scheme === 'circuit-amplifier' && /^# small$/m.test(document.getText()),
      ),
    );
    // Nobody has asked for this document before: its text is made from what its address says.
    const again = await workspace.openTextDocument(uri.with({ path: '/again.md' }));
    assert.match(again.getText(), /^# small$/m);
  });

  it('the circuit panel opens', async () => {
    await run('openCircuit', { folder: smallRun() });
    await until('the panel', () =>
      window.tabGroups.all.some(({ tabs }) => tabs.some(({ label }) => label === 'Circuit of small')),
    );
  });

  it('the circuit panel has the pivot that the cursor rests on, and loses it with the cursor', async () => {
    const { traces } = await api();
    await commands.executeCommand('workbench.action.closeAllEditors');
    const told: PivotAttribution[] = [];
    const subscription = traces.onPivotAttribution((one) => told.push(one));
    const editor = await openTrace(wrongWithPivot);
    await run('nextPivot');
    await until('the attribution', () => traces.state()?.attribution);
    assert.equal(told.length, 0, 'no panel was in view');
    await run('openCircuit', { folder: smallRun() });
    const pivot = await until('the pivot in the panel', () => told.at(-1)?.pivot);
    assert.equal(window.activeTextEditor, undefined, 'the panel has not the focus');
    assert.ok(pivot.tokens.some(({ level }) => level !== 0) && pivot.components.length > 0);
    // The trace counts on while the panel has the focus.
    editor.selection = new Selection(0, 0, 0, 0);
    await until('no pivot', () => told.at(-1)?.pivot === null);
    subscription.dispose();
  });

  it('exports: checkpoint and back to the same bytes, PEFT, patch, PTS, DPO', async () => {
    const { engine } = await api();
    const model = inRoot('model');
    const refs = [{ file: row.file, scale: 1 }];
    const ask = (as: 'checkpoint' | 'patch' | 'peft', out: string) =>
      engine.request(exportPatches, { model, patches: refs, as, out });
    const made = await ask('checkpoint', inRoot('amplified'));
    assert.ok(made.rows > 0);
    const weights = (folder: string) => fs.readFileSync(inRoot(folder, 'model.safetensors'));
    assert.ok(!weights('amplified').equals(weights('model')));
    await engine.request(revertPatches, { model: inRoot('amplified'), patches: refs, out: inRoot('back') });
    assert.ok(weights('back').equals(weights('model')));
    await ask('peft', inRoot('adapter'));
    assert.ok(fs.existsSync(inRoot('adapter', 'adapter_config.json')));
    await ask('patch', inRoot('half.safetensors'));
    assert.ok(fs.existsSync(inRoot('half.safetensors')));
    for (const as of ['pts', 'dpo'] as const) {
      const out = inRoot(`${as}.jsonl`);
      const { records } = await engine.request(exportPairs, { run: smallRun(), as, out });
      assert.ok(records > 0 && fs.existsSync(out));
    }
    await commands.executeCommand('workbench.action.closeAllEditors');
  });
});
