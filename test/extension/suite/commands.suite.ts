import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, Selection, type TextEditor, Uri, window, workspace } from 'vscode';
import * as protocol from '../../../server/protocol/jobs.ts';
import { list } from '../../../server/protocol/runs.ts';
import { view } from '../../../server/protocol/traces.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import { isRunning } from '../../../src/jobs/describe.ts';
import { api, inRoot, openTrace, read, smallRun, until, wrongWithPivot } from './session.ts';

const run = <T>(name: string, argument?: unknown, selected?: unknown) =>
  commands.executeCommand<T>(`circuitAmplifier.${name}`, argument, selected);

/** Answers every question of a command with what it offers first, until the command ends. */
async function accepting<T>(asked: Thenable<T>): Promise<T> {
  let over = false;
  const answer = Promise.resolve(asked).finally(() => {
    over = true;
  });
  const accept = () => commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
  await until('the end of the command', async () => {
    if (!over) await accept();
    return over;
  });
  return answer;
}

const labels = () => window.tabGroups.all.flatMap(({ tabs }) => tabs.map(({ label }) => label));
const tab = (wanted: RegExp) => until(`a tab ${wanted}`, () => labels().find((label) => wanted.test(label)));

const ofSmall = async () =>
  (await (await api()).patchesView.nodes()).find(({ row }) => row?.run === smallRun())!;

/** The newest job on a folder once it has ended. */
const ended = (folder: string, after: string | null = null): Promise<protocol.JobState> =>
  until(
    `the end of a job on ${folder}`,
    async () => {
      const job = (await api()).jobs.of(folder);
      return job && job.id !== after && !isRunning(job) ? job : null;
    },
    240,
  );

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

describe('stages one by one', () => {
  const folder = () => inRoot('runs', 'stages');
  const experiment = () => Uri.file(inRoot('stages.experiment.json'));
  const confirm = (value: boolean | undefined) =>
    workspace.getConfiguration('circuitAmplifier').update('jobs.confirm', value, true);

  before(() => {
    const settings = { generate: { samples: 4 }, amplify: { steps: 2, validateEvery: 1 } };
    const small = JSON.parse(read('small.experiment.json'));
    const own = { ...small, out: 'runs/stages', limit: 16, controlLimit: 8, settings };
    fs.writeFileSync(experiment().fsPath, JSON.stringify(own));
  });
  after(async () => {
    await confirm(undefined);
    fs.rmSync(experiment().fsPath);
    await commands.executeCommand('notifications.clearAll');
  });

  it('the first asks what it costs: declined it starts nothing, accepted it makes its part', async () => {
    const { jobs } = await api();
    await confirm(true);
    const declined = run('generate', experiment());
    let over = false;
    void Promise.resolve(declined).finally(() => {
      over = true;
    });
    await until('the end of the question', async () => {
      await commands.executeCommand('workbench.action.closeQuickOpen');
      return over;
    });
    assert.equal(jobs.of(folder()), undefined);
    await accepting(run('generate', experiment()));
    const job = await ended(folder());
    assert.deepEqual([job.state, job.spec.until, job.error], ['finished', 'generate', null]);
    assert.deepEqual(fs.existsSync(inRoot('runs', 'stages', 'pairs.jsonl')), false);
  }).timeout(300_000);

  for (const [stage, makes] of [
    ['localize', 'pairs.jsonl'],
    ['mask', 'mask.json'],
    ['amplify', 'patch.safetensors'],
    ['evaluate', 'report.json'],
  ] as const) {
    it(`${stage} makes ${makes} from what the stages before it made`, async () => {
      const { jobs } = await api();
      await confirm(false);
      const before = jobs.of(folder())!.id;
      await run(stage, experiment());
      const job = await ended(folder(), before);
      assert.deepEqual([job.state, job.spec.until, job.error], ['finished', stage, null]);
      assert.deepEqual(
        job.stages.map(({ status }) => status),
        [...job.stages.slice(1).map(() => 'kept'), 'finished'],
      );
      assert.ok(fs.existsSync(inRoot('runs', 'stages', makes)));
    }).timeout(300_000);
  }

  it('runControls adds every control; the crash of a job gives one message; forgetJob takes it off', async () => {
    const { jobs, messages, catalogue } = await api();
    const before = jobs.of(folder())!.id;
    await run('runControls', experiment());
    const { id, spec } = jobs.of(folder())!;
    assert.notEqual(id, before);
    assert.equal(spec.variants?.length, 7);
    const stage = (name: string) => until(name, () => jobs.of(folder())?.stage?.startsWith('variant-'), 120);
    await stage('a control at work');
    const told = messages.length;
    process.kill(processOf(folder()), 'SIGKILL');
    await until('another start', () => jobs.of(folder())!.restarts === 1);
    await stage('a control at work again');
    assert.deepEqual(
      messages.slice(told).map((message) => message.replace(/^.*?: /, '')),
      ['its process ended unexpectedly and was started again; it goes on where it was.'],
    );
    await run('cancel', { job: jobs.of(folder()) });
    assert.equal((await ended(folder(), before)).state, 'cancelled');
    await run('forgetJob', { job: jobs.of(folder()) });
    assert.notEqual(jobs.of(folder())?.id, id);
    // What was finished before is there as it was.
    catalogue.refresh();
    const { runs } = await catalogue.list();
    assert.ok(runs.find((row) => row.folder === folder())!.files.patch);
  }).timeout(300_000);

  it('compareRuns sets two selected runs side by side', async () => {
    const nodes = [{ folder: smallRun() }, { folder: folder() }];
    await run('compareRuns', nodes[0], nodes);
    await tab(/small and stages/);
  });

  it('two runs under one folder are written by one process each', async () => {
    const { engine, jobs } = await api();
    const spec = jobSpec(experiment().fsPath, { redo: 'generate' });
    const job = await engine.request(protocol.start, spec);
    jobs.take(job);
    await assert.rejects(engine.request(protocol.start, spec), /works on this run/);
    await run('cancel', { job });
    await ended(folder(), null);
    const { runs } = await engine.request(list, { folders: [inRoot()] });
    assert.equal(runs.find((row) => row.folder === folder())!.status, 'cancelled');
  }).timeout(300_000);
});

describe('commands on patches, pairs and settings', () => {
  after(() => commands.executeCommand('notifications.clearAll'));

  it('patches are scaled, moved up and down, and all taken out', async () => {
    const { patches, patchesView } = await api();
    const [one, other] = (await patchesView.nodes()).filter(({ row }) => row !== null);
    assert.ok(one && other, 'there are too few patches');
    await run('applyPatch', one);
    // The scale that is offered is the one that it has.
    await accepting(run('scalePatch', other));
    const order = () => patches.refs.map(({ file }) => file);
    assert.deepEqual(order(), [one.file, other.file]);
    await run('movePatchUp', { file: other.file });
    assert.deepEqual(order(), [other.file, one.file]);
    await run('movePatchDown', { file: other.file });
    assert.deepEqual(order(), [one.file, other.file]);
    await run('clearPatches');
    assert.deepEqual(order(), []);
  });

  for (const [command, made] of [
    ['exportCheckpoint', 'small-checkpoint/model.safetensors'],
    ['exportPeft', 'small-peft/adapter_config.json'],
    ['exportPatch', 'small.safetensors'],
  ] as const) {
    it(`${command} writes where it is told`, async () => {
      const { messages } = await api();
      const told = messages.length;
      await accepting(run(command, await ofSmall()));
      assert.ok(fs.existsSync(inRoot(made)), made);
      assert.match(messages.slice(told).join(), /is written: \d+ changed rows/);
      fs.rmSync(inRoot(made.split('/')[0]!), { recursive: true });
    });
  }

  for (const command of ['exportPts', 'exportDpo'] as const) {
    it(`${command} writes a run’s pairs`, async () => {
      await accepting(run(command, { folder: smallRun() }));
      const file = `small-${command.replace('export', '').toLowerCase()}.jsonl`;
      assert.ok(read(file).startsWith('{'));
      fs.rmSync(inRoot(file));
    });
  }

  it('writeDocuments writes those with pivots; filterTraces keeps what it offers', async () => {
    const { messages, tracesView } = await api();
    await run('showTraces', { folder: smallRun() });
    assert.equal(tracesView.folder, smallRun());
    const told = messages.length;
    await accepting(run('writeDocuments', { folder: smallRun() }));
    assert.match(messages.slice(told).join(), /\d+ documents written to .*documents/);
    assert.ok(fs.readdirSync(inRoot('runs', 'small', 'documents')).length > 1);
    tracesView.setFilter('@pivots');
    await accepting(run('filterTraces'));
    assert.equal(tracesView.filter, '@pivots');
    await run('clearTraceFilter');
  });

  it('refreshing draws each view anew', async () => {
    const { catalogue, tracesView, patchesView } = await api();
    let drawn = 0;
    const events = [catalogue.onChange, tracesView.onDidChangeTreeData, patchesView.onDidChangeTreeData];
    const listening = events.map((event) => event(() => drawn++));
    for (const name of ['refreshRuns', 'refreshTraces', 'refreshPatches']) await run(name);
    for (const listener of listening) listener.dispose();
    assert.ok(drawn >= 3);
  });

  it('showDevices says where models run, and sets what is chosen', async () => {
    await accepting(run('showDevices'));
    const own = workspace.getConfiguration('circuitAmplifier');
    assert.equal(own.inspect('device')?.globalValue, 'auto');
    await own.update('device', undefined, true);
  });

  it('restartEngine starts another process', async () => {
    const { engine } = await api();
    const { engineProcesses } = await import('./kill.ts');
    await engine.ready;
    const before = engineProcesses();
    await run('restartEngine');
    assert.equal(engine.state, 'running');
    assert.notDeepEqual(engineProcesses(), before);
  });
});

/** Process of the job that writes a run folder. */
const processOf = (folder: string): number => JSON.parse(fs.readFileSync(`${folder}/run.lock`, 'utf8')).pid;
