import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, Uri, workspace } from 'vscode';
import * as protocol from '../../../server/protocol/jobs.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import { isRunning } from '../../../src/jobs/describe.ts';
import { accepting, api, inRoot, read, run, smallRun, tab, until } from './session.ts';

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

  it('a long one asks what it costs: declined it starts nothing, accepted it runs', async () => {
    const { jobs } = await api();
    await confirm(true);
    const own = JSON.parse(read('stages.experiment.json'));
    const file = inRoot('long.experiment.json');
    const long = inRoot('runs', 'long');
    own.settings.amplify.steps = 100_000;
    fs.writeFileSync(file, JSON.stringify({ ...own, out: 'runs/long' }));
    let over = false;
    void Promise.resolve(run('amplify', Uri.file(file))).finally(() => {
      over = true;
    });
    await until('the end of the question', async () => {
      await commands.executeCommand('workbench.action.closeQuickOpen');
      return over;
    });
    assert.equal(jobs.of(long), undefined);
    await accepting(run('amplify', Uri.file(file)));
    await run('cancel', { job: jobs.of(long) });
    assert.equal((await ended(long)).state, 'cancelled');
    fs.rmSync(file);
    fs.rmSync(long, { recursive: true, force: true });
  }).timeout(300_000);

  for (const [stage, makes] of [
    ['generate', 'traces.jsonl'],
    ['localize', 'pairs.jsonl'],
    ['mask', 'mask.json'],
    ['amplify', 'patch.safetensors'],
    ['evaluate', 'report.json'],
  ] as const) {
    it(`${stage} makes ${makes} from what the stages before it made`, async () => {
      const { jobs } = await api();
      await confirm(false);
      const before = jobs.of(folder())?.id ?? null;
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
      messages.slice(told).map((message) => message.replace(/^.*: /, '')),
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

  it('a run folder has one writer, and a second is refused', async () => {
    const { engine, jobs } = await api();
    const spec = jobSpec(experiment().fsPath, { redo: 'generate' });
    const job = await engine.request(protocol.start, spec);
    jobs.take(job);
    await assert.rejects(engine.request(protocol.start, spec), /works on this run/);
    await run('cancel', { job });
    await ended(folder(), null);
  }).timeout(300_000);

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
});

/** Process of the job that writes a run folder. */
const processOf = (folder: string): number => JSON.parse(fs.readFileSync(`${folder}/run.lock`, 'utf8')).pid;
