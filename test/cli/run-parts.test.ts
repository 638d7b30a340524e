/** Parts of a whole amplification: up to a stage, a stage again, and results taken over from another run. */
import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { documentName } from '../../server/data/trace-files.ts';
import { build, cca, events, result, scratch } from './built.ts';
import { tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);
const read = (...names: string[]) => fs.readFileSync(at(...names));
const run = ['run', '--experiment', at('experiment.json')];
const statuses = (all: readonly Record<string, unknown>[]) =>
  all.filter(({ event }) => event === 'stage').map(({ stage, status }) => `${stage} ${status}`);

beforeAll(async () => {
  const experiment = {
    model: path.relative(root, task.model),
    problems: { train: 'problems.jsonl', val: 'val.jsonl', test: 'test.jsonl' },
    controls: { test: ['controls.jsonl'], guard: ['guard.jsonl'] },
    text: ['text.jsonl'],
    settings: {
      generate: {
        samples: 30,
        temperatureWrong: 2,
        temperatureRight: 2,
        maxTokens: 30,
        stop: { strings: ['.', 'e', '4'] },
      },
      mask: { budget: 0.1 },
      amplify: { steps: 2, validateEvery: 2, guard: { maxDrop: 100, maxKl: 1000 } },
      evaluate: { maxTokens: 20 },
    },
    seed: 5,
  };
  fs.writeFileSync(at('experiment.json'), JSON.stringify(experiment));
  await build();
  await result([...run, '--out', at('whole')]);
});

describe('--until and --redo', () => {
  test('stop after a stage, go on from there, and end as an uninterrupted run', async () => {
    const part = await events([...run, '--out', at('parts'), '--until', 'mask']);
    expect(statuses(part).at(-1)).toBe('mask finished');
    expect(part.at(-1)).toEqual({ event: 'result', until: 'mask', out: at('parts') });
    expect(fs.existsSync(at('parts', 'patch.safetensors'))).toBe(false);
    const rest = await events([...run, '--out', at('parts')]);
    expect(statuses(rest).slice(0, 3)).toEqual(['generate skipped', 'localize skipped', 'mask skipped']);
    for (const name of ['traces.jsonl', 'pairs.jsonl', 'mask.json', 'patch.safetensors', 'flips.jsonl']) {
      expect(read('parts', name), name).toEqual(read('whole', name));
    }
  });

  test('a stage is done again with another setting, and those after it', async () => {
    const again = await events([
      ...run,
      ...[
        '--out',
        at('parts'),
        '--redo',
        'amplify',
        '--set',
        'amplify.steps=1',
        '--set',
        'amplify.guard.maxKl=9',
      ],
    ]);
    expect(statuses(again)).toEqual([
      ...['generate skipped', 'localize skipped', 'mask skipped'],
      ...['amplify started', 'amplify finished', 'evaluate started', 'evaluate finished'],
    ]);
    expect(again.at(-1)).toMatchObject({ event: 'result', training: { steps: 1 } });
    const { stages } = JSON.parse(read('parts', 'manifest.json').toString());
    expect(stages.amplify).toMatchObject({ steps: 1, validateEvery: 2, guard: { maxKl: 9, maxDrop: 100 } });
  });

  test('what cannot be meant is refused', async () => {
    const refusals: [string[], RegExp][] = [
      [['--redo', 'mask', '--fresh'], /--redo: excludes --fresh/],
      [['--until', 'mask', '--seeds', '2'], /--until: is for one seed/],
      [['--set', 'amplify.stepz=1'], /--set field "amplify\.stepz": is not known/],
      [['--set', 'amplify.steps=many'], /--set field "amplify\.steps": is "many"/],
      [['--set', 'steps'], /has no KEY= in front/],
    ];
    for (const [options, message] of refusals) {
      const { code, stderr } = await cca([...run, '--out', at('refused'), ...options]);
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)]);
    }
    expect(fs.existsSync(at('refused'))).toBe(false);
  });
});

describe('--from, --pairs and --circuit', () => {
  test("another run's traces, pairs and circuit train the same patch", async () => {
    const circuit = ['--circuit', at('whole', 'mask.json')];
    const report = await result([...run, '--from', at('whole'), ...circuit, '--out', at('taken')]);
    for (const name of ['traces.jsonl', 'pairs.jsonl', 'mask.json', 'patch.safetensors', 'flips.jsonl']) {
      expect(read('taken', name), name).toEqual(read('whole', name));
    }
    const whole = JSON.parse(read('whole', 'report.json').toString());
    expect(report.target).toEqual(whole.target);
    expect(report.pairs).toMatchObject({ pairs: whole.pairs.pairs, completions: 0 });
  });

  test('pairs that were edited are what is trained on', async () => {
    const lines = read('whole', 'pairs.jsonl').toString().trimEnd().split('\n');
    const edited = lines.map((line, i) =>
      JSON.stringify({ ...JSON.parse(line), status: i ? 'rejected' : 'edited' }),
    );
    fs.writeFileSync(at('edited.jsonl'), `${edited.join('\n')}\n`);
    const out = ['--pairs', at('edited.jsonl'), '--until', 'amplify', '--out', at('edited')];
    await result([...run, '--from', at('whole'), ...out]);
    expect(
      read('edited', 'pairs.jsonl')
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual(edited.map((line) => JSON.parse(line)));
    expect(read('edited', 'patch.safetensors')).not.toEqual(read('whole', 'patch.safetensors'));
  });

  test("an earlier run's documents say what is trained on: pairs by status, traces unless excluded", async () => {
    const source = at('annotated');
    fs.cpSync(at('whole'), source, { recursive: true });
    await result(['documents', '--run', source, '--which', 'all']);
    const documents = path.join(source, 'documents');
    const edit = (id: string, from: string, to: string) => {
      const file = path.join(documents, documentName(id));
      fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(from, to));
      return file;
    };
    const records = (...names: string[]) =>
      read(...names)
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    const located = records('whole', 'pairs.jsonl');
    const [reviewed, dropped, refused] = located;
    const file = edit(reviewed.trace, 'status=auto', 'status=accepted');
    edit(dropped.trace, '\nprompt_ids:', '\nexcluded: true\nprompt_ids:');
    edit(refused.trace, 'status=auto', 'status=rejected');
    const from = ['--from', source, '--circuit', at('whole', 'mask.json'), '--until', 'amplify'];
    await result([...run, ...from, '--out', at('reviewed')]);
    const kept = records('reviewed', 'pairs.jsonl');
    const traces = new Set([dropped.trace, refused.trace]);
    expect(kept.map(({ id }) => id)).toEqual(
      located.filter(({ trace }) => !traces.has(trace)).map(({ id }) => id),
    );
    expect(kept[0]).toEqual({ ...reviewed, status: 'accepted', document: file });
    // Every trace still counts in the figures; the excluded one says so.
    expect(records('reviewed', 'traces.jsonl')).toEqual(
      records('whole', 'traces.jsonl').map((trace) =>
        trace.id === dropped.trace ? { ...trace, excluded: true } : trace,
      ),
    );
    expect(read('reviewed', 'patch.safetensors')).not.toEqual(read('whole', 'patch.safetensors'));
  });

  test('pairs from problems that score the run, and runs of another model, are refused', async () => {
    const [first] = read('whole', 'pairs.jsonl').toString().split('\n');
    fs.writeFileSync(at('leak.jsonl'), `${JSON.stringify({ ...JSON.parse(first!), problem_id: 'p30' })}\n`);
    const leak = await cca([...run, '--pairs', at('leak.jsonl'), '--out', at('leak')]);
    expect([leak.code, leak.stderr]).toEqual([
      2,
      expect.stringMatching(/leak\.jsonl: has p30, a problem that/),
    ]);
    const other = at('other');
    fs.cpSync(at('whole'), other, { recursive: true });
    const manifest = JSON.parse(read('other', 'manifest.json').toString());
    manifest.model.hash = 'f'.repeat(64);
    fs.writeFileSync(path.join(other, 'manifest.json'), JSON.stringify(manifest));
    const wrong = await cca([...run, '--from', other, '--out', at('wrong')]);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/other: is a run of another model/),
    ]);
  });
});
