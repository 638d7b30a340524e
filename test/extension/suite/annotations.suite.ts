import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  commands,
  type MarkdownString,
  Position,
  Selection,
  type TextEditor,
  window,
  workspace,
} from 'vscode';
import { type DocumentPivot, view } from '../../../server/protocol/traces.ts';
import { isRunning } from '../../../src/jobs/describe.ts';
import { api, openTrace, smallRun, until, uriOf, wrongWithPivot } from './session.ts';

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
    assert.equal(await run('movePivotLeft'), true);
    assert.equal((await pivots())[0]!.token, pivot!.token);
    await commands.executeCommand('undo');
    await undone(original);
    const target = { uri: editor.document.uri.toString(), token: pivot!.token };
    assert.equal(await run('movePivot', { ...target, to: pivot!.token + 2 }), true);
    assert.equal((await pivots())[0]!.token, pivot!.token + 2);
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

  it('the command trains on what the document says, in a run of its own, with provenance', async () => {
    const { catalogue, runsView } = await api();
    await annotated(async () => {
      await run('amplifyAnnotated', editor.document.uri);
      const made = await ended(`${smallRun()}-2`);
      assert.deepEqual([made.spec.from, made.spec.out], [smallRun(), `${smallRun()}-2`]);
      assert.equal(statuses(`${smallRun()}-2`).filter((status) => status === 'edited').length, 1);
      catalogue.refresh();
      const { runs } = await catalogue.list();
      const row = runs.find(({ folder }) => folder === `${smallRun()}-2`)!;
      assert.equal(row.status, 'finished');
      assert.deepEqual([row.pivots?.source, row.pivots?.edited], [smallRun(), 1]);
      const node = (await runsView.getChildren()).find((one) => one.kind === 'run' && one.row === row)!;
      const { tooltip } = runsView.getTreeItem(node);
      assert.match((tooltip as MarkdownString).value, /Pivots of .*: \d+ pairs: 1 changed/);
    });
  }).timeout(240_000);

  it('a stage’s command asks which pivots it is to use', async () => {
    await annotated(async () => {
      const asked = run('mask', uriOf('small.experiment.json'));
      // The first answer is the annotated ones.
      const out = `${smallRun()}-3`;
      const job = await until('a job on the annotated pivots', async () => {
        await commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
        return (await api()).jobs.of(out);
      });
      await asked;
      assert.deepEqual([job.spec.from, job.spec.until], [smallRun(), 'mask']);
      await ended(out);
      assert.equal(statuses(out).filter((status) => status === 'edited').length, 1);
    });
  }).timeout(240_000);

  it('where nothing was annotated, the command says so and starts nothing', async () => {
    const { jobs } = await api();
    const before = jobs.all.length;
    await run('amplifyAnnotated', { folder: smallRun() });
    assert.equal(jobs.all.length, before);
    await commands.executeCommand('notifications.clearAll');
  });
});

/** Runs with another desired token in the document, not yet saved, and puts everything back. */
async function annotated(work: () => Promise<void>): Promise<void> {
  const own = workspace.getConfiguration('circuitAmplifier');
  await own.update('jobs.confirm', false, true);
  await window.showTextDocument(editor.document);
  const [pivot] = await pivots();
  const target = { uri: editor.document.uri.toString(), token: pivot!.token };
  assert.equal(await run('setDesired', { ...target, desired: pivot!.desired.id + 2 }), true);
  try {
    await work();
    assert.equal(editor.document.isDirty, false);
  } finally {
    fs.writeFileSync(editor.document.uri.fsPath, original);
    await commands.executeCommand('workbench.action.files.revert');
    await until('the document as it was', () => editor.document.getText() === original);
    await own.update('jobs.confirm', undefined, true);
  }
}

const ended = (folder: string) =>
  until(
    `the end of the job on ${folder}`,
    async () => {
      const job = (await api()).jobs.of(folder);
      if (job && !isRunning(job)) assert.equal(job.state, 'finished', job.error ?? '');
      return job && !isRunning(job) ? job : null;
    },
    200,
  );

const statuses = (folder: string): string[] =>
  fs
    .readFileSync(`${folder}/pairs.jsonl`, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).status);
