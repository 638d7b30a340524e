import assert from 'node:assert/strict';
import fs from 'node:fs';
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { commands, Uri } from 'vscode';
import * as protocol from '../../../server/protocol/jobs.ts';
import * as runs from '../../../server/protocol/runs.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import { isRunning } from '../../../src/jobs/describe.ts';
import { api, inRoot, smallRun, until } from './session.ts';

const small = () => inRoot('small.experiment.json');

/** Starts the small experiment by a job, its training long enough to be caught at it. */
async function startLong(out: string, steps: number) {
  const { engine, jobs } = await api();
  const set = { 'amplify.steps': steps };
  const job = await engine.request(protocol.start, jobSpec(small(), { out, set, from: smallRun() }));
  jobs.take(job);
  return job.id;
}

const state = async (id: string) => (await api()).jobs.all.find((job) => job.id === id);

const ended = (id: string) =>
  until(
    'the end of the job',
    async () => {
      const job = await state(id);
      return job && !isRunning(job) ? job : null;
    },
    300,
  );

const training = (id: string, steps: number) =>
  until(
    `step ${steps} of training`,
    async () => {
      const job = await state(id);
      assert.ok(job && isRunning(job), `the job ended early: ${job?.state} ${job?.error}`);
      return job.stage === 'amplify' && job.done >= steps ? job : null;
    },
    300,
  );

describe('jobs', () => {
  it('a whole amplification from the palette’s command, told as it goes, never blocking the window', async () => {
    const { jobs, catalogue } = await api();
    fs.rmSync(smallRun(), { recursive: true });
    const seen = new Map<string, Set<string>>();
    const listener = jobs.onChange((job) => {
      const stages = seen.get(job.id) ?? new Set();
      if (job.stage) stages.add(job.stage);
      seen.set(job.id, stages);
    });
    let listed = 0;
    const lists = catalogue.onChange(() => listed++);
    const began = Date.now();
    const delays: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 });
    delays.enable();
    // It asks what it costs: nobody answers here.
    await commands.executeCommand('workbench.action.closeAllEditors');
    const { workspace } = await import('vscode');
    await workspace.getConfiguration('circuitAmplifier').update('jobs.confirm', false, true);
    await commands.executeCommand('circuitAmplifier.run', Uri.file(small()));
    const job = await until('a job', () => jobs.all.find(({ run }) => run === smallRun()));
    const last = await ended(job.id);
    delays.disable();
    listener.dispose();
    lists.dispose();
    // With the side bar closed: at beginnings, ends and artefacts, and every ten seconds while records grow.
    const most = 15 + (Date.now() - began) / 5000;
    assert.ok(listed > 0 && listed < most, `the runs were listed ${listed} times`);
    assert.equal(last.state, 'finished', last.error ?? '');
    assert.deepEqual([...seen.get(job.id)!], ['generate', 'localize', 'mask', 'amplify', 'evaluate']);
    assert.ok(last.stages.every(({ status }) => status === 'finished'));
    // The figure itself is npm run bench:editor's; this machine may be busy.
    assert.ok(delays.max / 1e6 < 1000, `a block of ${delays.max / 1e6} ms`);
  }).timeout(600_000);

  it('is cancelled, keeps what is finished, and is resumed to the same bytes', async () => {
    const { engine } = await api();
    const [cut, whole] = [inRoot('runs', 'cut'), inRoot('runs', 'whole')];
    const id = await startLong(cut, 12);
    await training(id, 2);
    await commands.executeCommand('circuitAmplifier.cancel', { job: await state(id) });
    assert.equal((await ended(id)).state, 'cancelled');
    const { runs: rows } = await engine.request(runs.list, { folders: [inRoot()] });
    const row = rows.find(({ folder }) => folder === cut)!;
    assert.equal(row.status, 'cancelled');
    assert.equal(row.stages.find(({ name }) => name === 'mask')?.status, 'finished');
    await commands.executeCommand('circuitAmplifier.resume', { folder: cut });
    const again = await until('the resumed job', async () => {
      const job = (await api()).jobs.of(cut);
      return job && job.id !== id ? job : null;
    });
    assert.equal((await ended(again.id)).state, 'finished');
    assert.equal((await ended(await startLong(whole, 12))).state, 'finished');
    const bytes = (run: string) => fs.readFileSync(`${run}/patch.safetensors`);
    assert.ok(bytes(cut).equals(bytes(whole)), 'the resumed run has another patch');
  }).timeout(600_000);

  it('is told from the Runs view to end its training, keeps the best step and is evaluated', async () => {
    const { engine, runsView, catalogue } = await api();
    const run = inRoot('runs', 'early');
    const id = await startLong(run, 400);
    await training(id, 2);
    catalogue.refresh();
    const node = await until('its row', async () =>
      (await runsView.getChildren()).find((one) => one.kind === 'run' && one.row.folder === run),
    );
    assert.match(runsView.getTreeItem(node).contextValue!, /\bjob-training\b/);
    await commands.executeCommand('circuitAmplifier.endTraining', node);
    const last = await ended(id);
    assert.equal(last.state, 'finished', last.error ?? '');
    const steps = await engine.request(protocol.curve, { run });
    assert.ok(steps.length < 400, 'the training went on to its end');
    assert.ok(fs.existsSync(`${run}/patch.safetensors`) && fs.existsSync(`${run}/report.json`));
  }).timeout(600_000);

  it('is not disturbed by the end of the engine’s process', async () => {
    const { engine, jobs } = await api();
    const id = await startLong(inRoot('runs', 'killed'), 12);
    await training(id, 1);
    const { killEngine } = await import('./kill.ts');
    await killEngine();
    const last = await ended(id);
    assert.equal(last.state, 'finished', last.error ?? '');
    assert.equal(last.restarts, 0);
    assert.equal(engine.state, 'running');
    await engine.request(protocol.forget, { id });
    await jobs.refresh();
    assert.equal(await state(id), undefined);
  }).timeout(600_000);
});
