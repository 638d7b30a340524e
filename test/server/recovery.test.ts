import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Supervisor } from '../../server/jobs/supervisor.ts';
import * as engineProtocol from '../../server/protocol/engine.ts';
import * as jobs from '../../server/protocol/jobs.ts';
import { errorCodes } from '../../server/protocol/message.ts';
import * as runs from '../../server/protocol/runs.ts';
import * as traces from '../../server/protocol/traces.ts';
import { build, events, scratch } from '../cli/built.ts';
import { Editor, failure, root } from './client.ts';
import { job, tinyExperiment } from './tiny.ts';

const folder = scratch();
const editors: Editor[] = [];
let experiment: string;
/** Of the experiment when nothing disturbs it. */
let undisturbed: string;

beforeAll(async () => {
  await build();
  experiment = tinyExperiment(folder, { limit: 16, controlLimit: 8 });
  undisturbed = path.join(folder, 'undisturbed');
  await events(['run', '--experiment', experiment, '--out', undisturbed]);
});
afterAll(async () => {
  for (const editor of editors) await editor.stop();
});

async function window(storage: string, program?: string): Promise<Editor> {
  const editor = await new Editor(program).start({ storage: path.join(folder, storage) }, [folder]);
  editors.push(editor);
  return editor;
}

const out = (name: string) => path.join(folder, 'runs', name);
const processOf = (storage: string, id: string) =>
  JSON.parse(fs.readFileSync(path.join(folder, storage, 'jobs', id, 'process.json'), 'utf8')) as {
    pid: number;
    attempt: number;
  };
const ended = (editor: Editor, id: string) =>
  editor.when(
    jobs.changed,
    (job) => job.id === id && ['finished', 'failed', 'cancelled'].includes(job.state),
  );
/** Artefacts whose bytes do not depend on the time that anything took. */
const ARTEFACTS = ['traces.jsonl', 'pairs.jsonl', 'mask.json', 'patch.safetensors', 'flips.jsonl'];

function expectSameBytes(run: string): void {
  for (const name of ARTEFACTS) {
    const [made, expected] = [run, undisturbed].map((one) => fs.readFileSync(path.join(one, name)));
    expect([name, made!.equals(expected!)]).toEqual([name, true]);
  }
  const report = (one: string) => {
    const { stages: _, ...rest } = JSON.parse(fs.readFileSync(path.join(one, 'report.json'), 'utf8'));
    return rest;
  };
  expect(report(run)).toEqual(report(undisturbed));
}

describe('jobs', () => {
  test('a killed process is started again, told once, and ends with the same bytes', async () => {
    const editor = await window('crash');
    const { id } = await editor.ask(jobs.start, job(experiment, { out: out('crashed') }));
    await editor.when(jobs.steps, ({ id: of, steps }) => of === id && (steps.at(-1)?.step ?? 0) >= 2);
    process.kill(processOf('crash', id).pid, 'SIGKILL');
    const last = await ended(editor, id);
    expect(last).toMatchObject({ state: 'finished', restarts: 1, error: null });
    expect(processOf('crash', id).attempt).toBe(1);
    expectSameBytes(out('crashed'));
    const curve = await editor.ask(jobs.curve, { run: out('crashed') });
    expect(curve.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    // What was finished before is not done again.
    const kept = last.stages.filter(({ status }) => status === 'kept').map(({ name }) => name);
    expect(kept).toEqual(['generate', 'localize', 'mask']);
  });

  test('a job outlives its server: the next one sees it to its end; two windows see the same', async () => {
    const first = await window('two');
    const second = await window('two');
    const { id } = await first.ask(jobs.start, job(experiment, { out: out('two') }));
    await second.when(jobs.changed, (one) => one.id === id && one.stage === 'generate');
    await first.kill();
    editors.splice(editors.indexOf(first), 1);
    const third = await window('two');
    const [found] = await third.ask(jobs.list, null);
    expect(found).toMatchObject({ id, state: 'running', run: out('two') });
    const [last, same] = await Promise.all([ended(second, id), ended(third, id)]);
    expect(last).toMatchObject({ state: 'finished', restarts: 0 });
    expect(same).toEqual(last);
    expectSameBytes(out('two'));
  });

  test('of two windows one restarts a crashed job', async () => {
    const [first, second] = [await window('both'), await window('both')];
    const { id } = await first.ask(jobs.start, job(experiment, { out: out('both'), until: 'amplify' }));
    await second.when(jobs.changed, (one) => one.id === id && one.stage === 'amplify');
    process.kill(processOf('both', id).pid, 'SIGKILL');
    const results = await Promise.all([ended(first, id), ended(second, id)]);
    for (const result of results) expect(result).toMatchObject({ state: 'finished', restarts: 1 });
    const log = fs.readFileSync(path.join(folder, 'both', 'jobs', id, 'events.jsonl'), 'utf8');
    expect(log.match(/"event":"attempt"/g)).toHaveLength(1);
    expect(results[0]!.stages.map(({ name }) => name)).toEqual(['generate', 'localize', 'mask', 'amplify']);
  });

  test('cancelled work is kept, and goes on when it is asked for again', async () => {
    const editor = await window('cancel');
    const spec = job(experiment, { out: out('cancelled') });
    const { id } = await editor.ask(jobs.start, spec);
    await editor.when(jobs.changed, (one) => one.id === id && one.stage === 'amplify');
    await editor.ask(jobs.cancel, { id });
    expect(await ended(editor, id)).toMatchObject({ state: 'cancelled', error: null, restarts: 0 });
    const again = await editor.ask(jobs.start, spec);
    const last = await ended(editor, again.id);
    expect(last.stages.find(({ name }) => name === 'generate')!.status).toBe('kept');
    expectSameBytes(out('cancelled'));
    expect(await editor.ask(jobs.list, null)).toHaveLength(2);
  });

  test('a training that is asked to end keeps its best step, and the job goes on to the evaluation', async () => {
    const editor = await window('end');
    const spec = job(experiment, { out: out('ended'), set: { 'amplify.steps': 200 } });
    const { id } = await editor.ask(jobs.start, spec);
    const early = await failure(editor.ask(jobs.endTraining, { id }));
    expect(early).toMatchObject({ code: errorCodes.input });
    expect(early.message).toMatch(/is not training now/);
    await editor.when(jobs.steps, ({ id: of, steps }) => of === id && (steps.at(-1)?.step ?? 0) >= 3);
    await editor.ask(jobs.endTraining, { id });
    const last = await ended(editor, id);
    expect(last).toMatchObject({ state: 'finished', error: null, restarts: 0, endingTraining: false });
    expect(last.stages.map(({ status }) => status)).not.toContain('waiting');
    const { training } = JSON.parse(fs.readFileSync(path.join(out('ended'), 'report.json'), 'utf8'));
    expect(training).toMatchObject({ breach: null, asked: true });
    expect(training.steps).toBeLessThan(200);
    const curve = await editor.ask(jobs.curve, { run: out('ended') });
    expect(curve).toHaveLength(training.steps);
    expect(training.best).toBe(curve.at(-1)!.best);
    expect(fs.existsSync(path.join(out('ended'), 'patch.safetensors'))).toBe(true);
    expect(fs.existsSync(path.join(out('ended'), 'end-training.json'))).toBe(false);
  });

  test('a run that another process writes is refused with its name; bad input fails in one line', async () => {
    const editor = await window('refused');
    const run = out('held');
    fs.mkdirSync(run, { recursive: true });
    const [mine] = [path.join(run, 'run.lock')];
    const { identify } = await import('../../server/runs/process-identity.ts');
    fs.writeFileSync(mine!, JSON.stringify(identify(process.pid)));
    const refused = await failure(editor.ask(jobs.start, job(experiment, { out: run })));
    expect(refused.code).toBe(errorCodes.input);
    expect(refused.message).toContain(`is being written by process ${process.pid}`);
    fs.rmSync(mine!);
    const wrong = tinyExperiment(fs.mkdtempSync(path.join(folder, 'wrong-')), { controlLimit: 1, limit: 1 });
    const { id } = await editor.ask(
      jobs.start,
      job(wrong, { out: path.join(folder, 'wrong-run'), set: { 'mask.nothing': 1 } }),
    );
    const last = await ended(editor, id);
    expect(last.state).toBe('failed');
    expect(last.error).toMatch(/nothing/);
    expect(last.error).not.toContain('\n');
    expect(last.restarts).toBe(0);
  });

  test('of every run the last job is kept; what ended ones printed is not; a deleted run takes its jobs along', async () => {
    const editor = await window('pruned');
    const spec = job(experiment, { out: out('pruned'), until: 'generate' });
    const ids: string[] = [];
    for (let i = 0; i < 2; i++) {
      const { id } = await editor.ask(jobs.start, spec);
      await ended(editor, id);
      ids.push(id);
    }
    const at = (id: string, ...names: string[]) => path.join(folder, 'pruned', 'jobs', id, ...names);
    // Just ended: another window may still be reading.
    const soon = await window('pruned');
    expect(await soon.ask(jobs.list, null)).toHaveLength(2);
    for (const id of ids) {
      const state = JSON.parse(fs.readFileSync(at(id, 'ended.json'), 'utf8'));
      fs.writeFileSync(at(id, 'ended.json'), JSON.stringify({ ...state, ended: state.ended - 3_600_000 }));
    }
    const later = await window('pruned');
    expect((await later.ask(jobs.list, null)).map(({ id }) => id)).toEqual([ids[1]]);
    expect([fs.existsSync(at(ids[0]!)), fs.existsSync(at(ids[1]!, 'events.jsonl'))]).toEqual([false, false]);
    expect(await later.ask(runs.remove, { folder: out('pruned') })).toEqual({ kept: [] });
    expect(await later.ask(jobs.list, null)).toEqual([]);
  });

  test('a process that crashes again and again is given up, and says where its words are', async () => {
    const program = path.join(folder, 'broken.mjs');
    fs.writeFileSync(program, "process.kill(process.pid, 'SIGKILL');\n");
    const states: jobs.JobState[] = [];
    const supervisor = new Supervisor(path.join(folder, 'broken'), {
      program,
      backOff: [10, 10, 10],
      mayStart: () => true,
      changed: (state) => states.push({ ...state }),
      steps: () => undefined,
      mask: () => undefined,
      failed: (error) => {
        throw error;
      },
    });
    const options = { device: 'cpu', threads: 1, lean: false, background: false } as const;
    await supervisor.start(job(experiment, { out: out('broken') }), options);
    while (states.at(-1)?.state !== 'failed') await new Promise((resolve) => setTimeout(resolve, 50));
    expect(states.at(-1)).toMatchObject({ restarts: 3 });
    expect(states.at(-1)!.error).toMatch(/ended unexpectedly 4 times; what it said is in .*log\.txt/);
    supervisor.close();
  });
});

describe('the engine', () => {
  test('on another machine: no process id, jobs in its own home, its end with its standard input', async () => {
    const home = path.join(folder, 'home');
    const editor = new Editor(undefined, { HOME: home, USERPROFILE: home });
    await editor.start({ storage: 'a1b2' }, [folder], null);
    const { id } = await editor.ask(jobs.start, job(experiment, { out: out('remote'), until: 'generate' }));
    expect(await ended(editor, id)).toMatchObject({ state: 'finished' });
    expect(fs.existsSync(path.join(home, '.circuit-amplifier', 'a1b2', 'jobs', id, 'job.json'))).toBe(true);
    const gone = new Promise((resolve) => editor.process.once('exit', resolve));
    editor.process.stdin!.end();
    await gone;
  });

  test('a crash is told once, what was asked fails in one line, and the next question is answered', async () => {
    // The built server with a worker that ends when a file says so.
    const program = path.join(folder, 'fragile');
    const trigger = path.join(folder, 'crash-now');
    fs.mkdirSync(program);
    for (const name of ['server.mjs', 'cli.mjs', 'probe.mjs']) {
      fs.copyFileSync(path.join(root, 'dist', name), path.join(program, name));
    }
    fs.copyFileSync(path.join(root, 'dist', 'worker.mjs'), path.join(program, 'real-worker.mjs'));
    fs.writeFileSync(
      path.join(program, 'worker.mjs'),
      `import fs from 'node:fs';
setInterval(() => {
  if (!fs.existsSync(${JSON.stringify(trigger)})) return;
  fs.rmSync(${JSON.stringify(trigger)});
  process.exit(9);
}, 5).unref();
await import('./real-worker.mjs');
`,
    );
    const modules = path.join(folder, 'node_modules');
    if (!fs.existsSync(modules)) fs.symlinkSync(path.join(root, 'node_modules'), modules);
    const editor = await window('fragile-jobs', path.join(program, 'server.mjs'));
    const run = undisturbed;
    const { rows } = await editor.ask(traces.list, { folder: run });
    const row = rows.find(({ pivots }) => pivots > 0)!;
    const { file } = await editor.ask(traces.open, { run, trace: row.id });
    const uri = editor.open(file, fs.readFileSync(file, 'utf8'));
    const of = { uri, version: 1 };
    const { pivots } = await editor.ask(traces.view, of);
    const ask = () => editor.ask(traces.outputDiff, { ...of, from: [], to: [] });
    const before = await ask();
    const answers = [ask(), ask(), ask()].map((answer) => failure(answer));
    fs.writeFileSync(trigger, '');
    const crashed = await editor.when(engineProtocol.engineCrashed, () => true);
    expect(crashed).toEqual({ reason: expect.stringContaining('exit code 9'), restarted: true });
    // Some may have been answered just before; none may hang.
    for (const answer of answers) {
      const outcome = await answer.catch(() => null);
      if (outcome) expect(outcome.message).toMatch(/^the engine ended \(exit code 9\)$/);
    }
    expect((await editor.ask(traces.view, of)).pivots).toEqual(pivots);
    expect(await ask()).toEqual(before);
    expect(editor.all(engineProtocol.engineCrashed)).toHaveLength(1);
  });
});
