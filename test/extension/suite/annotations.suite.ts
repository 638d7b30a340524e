import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, Position, Selection, type TextEditor } from 'vscode';
import { list } from '../../../server/protocol/jobs.ts';
import { type DocumentPivot, view } from '../../../server/protocol/traces.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import { api, inRoot, next, openTrace, smallRun, until, uriOf, wrongWithPivot } from './session.ts';

let editor: TextEditor;
let original: string;

const run = (name: string, argument?: unknown) =>
  commands.executeCommand<boolean>(`circuitAmplifier.${name}`, argument);

const pivots = async (): Promise<DocumentPivot[]> => {
  const { engine } = await api();
  const { uri, version } = editor.document;
  return (await engine.request(view, { uri: uri.toString(), version })).pivots;
};

function putCursor({ range }: DocumentPivot): void {
  const at = new Position(range.start.line, range.start.character);
  editor.selection = new Selection(at, at);
}

/** One step of undo takes an annotation back to the byte. */
async function undone(before: string): Promise<void> {
  await commands.executeCommand('undo');
  assert.equal(editor.document.getText(), before);
}

describe('annotations', () => {
  before(async () => {
    editor = await openTrace(wrongWithPivot);
    original = editor.document.getText();
    putCursor((await pivots())[0]!);
  });

  for (const [name, status] of [
    ['acceptPivot', 'accepted'],
    ['rejectPivot', 'rejected'],
  ] as const) {
    it(`${name} edits the document, and one undo takes it back`, async () => {
      assert.equal(await run(name), true);
      assert.equal((await pivots())[0]!.status, status);
      assert.ok(editor.document.isDirty);
      await undone(original);
    });
  }

  it('a pivot moves by keys, keeps being edited, and comes back', async () => {
    const [pivot] = await pivots();
    putCursor(pivot!);
    assert.equal(await run('movePivotRight'), true);
    const [moved] = await pivots();
    assert.equal(moved!.token, pivot!.token + 1);
    assert.equal(moved!.status, 'edited');
    await undone(original);
  });

  it('a pivot is swapped, given another desired token, and removed', async () => {
    const [pivot] = await pivots();
    const target = { uri: editor.document.uri.toString(), token: pivot!.token };
    assert.equal(await run('swapPivot', target), true);
    assert.deepEqual(
      [(await pivots())[0]!.desired.id, (await pivots())[0]!.undesired.id],
      [pivot!.undesired.id, pivot!.desired.id],
    );
    await undone(original);
    const desired = pivot!.desired.id + 2;
    assert.equal(await run('setDesired', { ...target, desired }), true);
    assert.equal((await pivots())[0]!.desired.id, desired);
    await undone(original);
    assert.equal(await run('removePivot', target), true);
    assert.deepEqual(await pivots(), []);
    await undone(original);
  });

  it('another token is marked by hand, and a trace is excluded', async () => {
    const [pivot] = await pivots();
    const uri = editor.document.uri.toString();
    assert.equal(await run('markPivot', { uri, token: pivot!.token + 2, desired: pivot!.desired.id }), true);
    assert.equal((await pivots()).find(({ method }) => method === 'human')?.token, pivot!.token + 2);
    await undone(original);
    assert.equal(await run('excludeTrace', { uri, excluded: true }), true);
    assert.match(editor.document.getText(), /^excluded: true$/m);
    await undone(original);
  });

  it('training uses what the document says, with provenance', async () => {
    const { engine, jobs } = await api();
    const [pivot] = await pivots();
    const target = { uri: editor.document.uri.toString(), token: pivot!.token };
    await run('setDesired', { ...target, desired: pivot!.desired.id + 2 });
    await editor.document.save();
    const out = inRoot('runs', 'annotated');
    const spec = jobSpec(inRoot('small.experiment.json'), {
      out,
      from: smallRun(),
      until: 'mask',
      set: { 'amplify.steps': 2 },
    });
    const { start } = await import('../../../server/protocol/jobs.ts');
    const job = await engine.request(start, spec);
    jobs.take(job);
    const ended = await until('the end of the job', () =>
      jobs.all.find(({ id, state }) => id === job.id && state !== 'running'),
    );
    assert.equal(ended.state, 'finished', ended.error ?? '');
    const pairs = fs
      .readFileSync(`${out}/pairs.jsonl`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const edited = pairs.filter(({ status }) => status === 'edited');
    assert.equal(edited.length, 1, JSON.stringify(pairs[0]));
    assert.equal((await engine.request(list, null)).length > 0, true);
    fs.writeFileSync(editor.document.uri.fsPath, original);
    await commands.executeCommand('workbench.action.files.revert');
    assert.equal(editor.document.getText(), original);
    void next;
    void uriOf;
  });
});
