import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, cca, events, result, scratch } from './built.ts';
import { DECODING, SAMPLING, tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);
const model = ['--model', task.model];
const generate = ['generate', ...model, '--problems', task.problems, ...SAMPLING, ...DECODING];
const readJson = (...names: string[]) => JSON.parse(fs.readFileSync(at(...names), 'utf8'));
const lines = (...names: string[]) =>
  fs
    .readFileSync(at(...names), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(build);

describe('stage by stage, each from the files of the one before', () => {
  const out = ['--out', at('run')];
  const pairs = ['--pairs', at('run', 'pairs.jsonl')];

  test('generate', async () => {
    const all = await events([...generate, ...out]);
    const traces = all.filter((event) => event.kind === 'trace').map((event) => event.trace);
    expect(lines('run', 'traces.jsonl')).toEqual(expect.arrayContaining(traces));
    expect(all.at(-1)).toMatchObject({ event: 'result', problems: 16, traces: traces.length });
    const progress = all.filter((event) => event.event === 'progress');
    expect(progress.at(-1)).toMatchObject({ stage: 'generate', done: 16, total: 16, remaining: 0 });
  });

  test('a second run of the same command keeps what is there', async () => {
    const before = fs.readFileSync(at('run', 'traces.jsonl'));
    const all = await events([...generate, ...out]);
    expect(all.filter((event) => event.kind === 'trace')).toEqual([]);
    expect(all).toContainEqual({ event: 'stage', stage: 'generate', status: 'skipped' });
    expect(fs.readFileSync(at('run', 'traces.jsonl'))).toEqual(before);
  });

  test('other settings in the same folder are refused; --fresh starts over', async () => {
    const { code, stderr } = await cca([...generate, ...out, '--top-k', '5']);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/stages\.generate\.topK is 0 in this run and 5 now/),
    ]);
    const fresh = await result([...generate, '--out', at('other'), '--top-k', '5']);
    expect(fresh.traces).toBeGreaterThan(16);
    await result([...generate, '--out', at('other'), '--fresh']);
    expect(fs.readFileSync(at('other', 'traces.jsonl'))).toEqual(fs.readFileSync(at('run', 'traces.jsonl')));
  });

  test('localize ends branches as their traces were generated', async () => {
    const { pairs: count, contrasts } = await result([
      ...['localize', ...model, '--traces', at('run', 'traces.jsonl'), ...out],
    ]);
    expect(count).toBeGreaterThan(3);
    expect(contrasts).toBeGreaterThanOrEqual(count);
    expect(lines('run', 'pairs.jsonl')).toHaveLength(count);
    expect(readJson('run', 'manifest.json').stages.localize).toMatchObject({
      method: 'branching',
      maxTokens: 30,
      stop: { answer: true, strings: ['.', 'e', '4'] },
    });
  });

  test('mask, by Fisher information and by the paper', async () => {
    const budget = ['--budget', '10%'];
    const fisher = await result(['mask', ...model, ...pairs, '--text', task.text, ...budget, ...out]);
    expect(fisher).toMatchObject({ components: 16, total: 168, lambda: null });
    const dcm = ['--select', 'dcm', '--lambda', '0.5', '--epochs', '3'];
    const learned = await events(['mask', ...model, ...pairs, ...dcm, '--out', at('dcm')]);
    expect(learned.at(-1)).toMatchObject({ total: 168, lambda: 0.5 });
    expect(learned.filter((event) => event.kind === 'mask').map((event) => event.epoch)).toEqual([1, 2, 3]);
    expect(readJson('dcm', 'mask.json')).toMatchObject({ method: 'dcm', lambda: 0.5 });
  });

  test('a mask that is interrupted while it is trained goes on from there and ends as if nothing had been', async () => {
    const dcm = ['mask', ...model, ...pairs, '--select', 'dcm', '--budget', '20', '--epochs', '40'];
    const search = [...dcm, '--mask-lr', '0.05'];
    const straight = await events([...search, '--out', at('search')]);
    const epochs = straight.filter((event) => event.kind === 'mask').length;
    const stopped = await cca([...search, '--json', '--out', at('stopped')], {
      kill: { signal: 'SIGKILL', when: '"kind":"mask","lambda":0.01,"epoch":5' },
    });
    expect(stopped.code).toBeNull();
    const rest = await events([...search, '--out', at('stopped')]);
    expect(rest.filter((event) => event.kind === 'mask').length).toBeLessThanOrEqual(epochs - 4);
    expect(fs.readFileSync(at('stopped', 'mask.json'))).toEqual(fs.readFileSync(at('search', 'mask.json')));
    expect(readJson('search', 'mask.json').trials.length).toBeGreaterThan(1);
  });

  test('a budget that no lambda meets is told in one line', async () => {
    const dcm = ['mask', ...model, ...pairs, '--select', 'dcm', '--budget', '3', '--epochs', '1'];
    const { code, stderr } = await cca([...dcm, '--quiet', '--out', at('unmet')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^cca mask: --budget: no lambda tried selects 1 to 3 components, from 0\.01 to .*\n$/,
    );
  });

  test('amplify', async () => {
    const inputs = [
      '--mask',
      at('run', 'mask.json'),
      '--problems',
      task.val,
      '--traces',
      at('run', 'traces.jsonl'),
    ];
    const limits = ['--max-drop', '100', '--max-kl', '1000', '--watch', task.guard, '--text', task.text];
    const recipe = ['--steps', '4', '--validate-every', '2', '--lr', '0.05', '--max-tokens', '20'];
    const all = await events(['amplify', ...model, ...pairs, ...inputs, ...limits, ...recipe, ...out]);
    const steps = all.filter((event) => event.kind === 'step').map(({ report }) => report);
    expect(steps.map((report) => report.step)).toEqual([1, 2, 3, 4]);
    expect(all.at(-1)).toMatchObject({ steps: 4, breach: null, weights: 16 * 32 });
    expect(all.at(-1)?.base).toMatchObject({ n: 6, suites: { choice: { n: 2 }, recall: { n: 2 } } });
    expect(fs.existsSync(at('run', 'patch.safetensors'))).toBe(true);
    expect(readJson('run', 'manifest.json').stages.amplify.evaluate).toMatchObject({
      // Given, and else as the traces were generated.
      maxTokens: 20,
      stop: { answer: true, strings: ['.', 'e', '4'] },
    });
  });

  test('evaluate, with the patch and without', async () => {
    const inputs = ['--problems', task.test, '--controls', task.controls];
    const patch = ['--patch', at('run', 'patch.safetensors')];
    const compared = await result(['evaluate', ...model, ...inputs, ...patch, ...out]);
    expect(compared.target).toMatchObject({ base: { n: 8 }, amplified: { n: 8 } });
    expect(Object.keys(compared.controls).sort()).toEqual(['choice', 'recall']);
    expect(readJson('run', 'report.json')).toMatchObject({
      target: compared.target,
      controls: compared.controls,
    });
    expect(readJson('run', 'manifest.json').stages.evaluate).toMatchObject({
      maxTokens: 20,
      stop: { answer: true, strings: ['.', 'e', '4'] },
    });
    const stops = ['--stop', '.', '--stop', 'e', '--stop', '4'];
    const base = ['evaluate', ...model, ...inputs, '--max-tokens', '20', ...stops, '--out', at('alone')];
    const alone = await result(base);
    expect(alone.target).toEqual(compared.target.base);
    expect(alone.controls.choice).toEqual(compared.controls.choice.base);
    const same = await result([
      'evaluate',
      ...model,
      ...inputs,
      ...patch,
      '--scale',
      '0',
      '--out',
      at('zero'),
    ]);
    expect(same.target).toMatchObject({ gain: 0, gained: 0, lost: 0, p: 1 });
    const given = ['--max-tokens', '25', '--stop', 'u', '--limit', '2', '--out', at('given')];
    await result(['evaluate', ...model, ...inputs, ...patch, ...given]);
    expect(readJson('given', 'manifest.json').stages.evaluate).toMatchObject({
      maxTokens: 25,
      stop: { answer: true, strings: ['u'] },
    });
    const answers = (folder: string): string[] =>
      lines(folder, 'evaluate-samples.jsonl')
        .filter((sample) => sample.suite === 'test' && sample.model === 'base' && sample.doc_id < 2)
        .map(({ text }) => text);
    // Cut where the stop string begins, which other stop strings leave in.
    expect(answers('alone').some((text) => text.includes('u'))).toBe(true);
    expect(answers('given')).toEqual(answers('alone').map((text) => text.split('u')[0]));
  });

  test('the stages made one run', async () => {
    const { stdout } = await cca(['runs', 'show', at('run')]);
    for (const stage of ['generate', 'localize', 'mask', 'amplify', 'evaluate']) {
      expect(stdout).toMatch(new RegExp(`^${stage} +finished`, 'm'));
    }
  });
});

describe('the whole amplification', () => {
  const settings = {
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
  };
  const file = at('experiment.json');

  beforeAll(() => {
    const experiment = {
      model: path.relative(root, task.model),
      problems: { train: 'problems.jsonl', val: 'val.jsonl', test: 'test.jsonl', unseen: 'unseen.jsonl' },
      controls: { test: ['controls.jsonl'], guard: ['guard.jsonl'] },
      text: ['text.jsonl'],
      settings,
      seed: 5,
      out: 'whole',
    };
    fs.writeFileSync(file, JSON.stringify(experiment));
  });

  test('from an experiment file, interrupted and resumed, ends as if nothing had been', async () => {
    const straight = await result(['run', '--experiment', file, '--out', at('straight')]);
    const stopped = await cca(['run', '--experiment', file, '--json'], {
      kill: { signal: 'SIGINT', when: '"kind":"trace"' },
    });
    expect(stopped.code).toBe(130);
    expect(stopped.stderr).toContain(`Resume with: cca run --experiment ${file}`);
    const resumed = await result(['run', '--experiment', file]);
    for (const name of ['traces.jsonl', 'pairs.jsonl', 'mask.json', 'patch.safetensors', 'flips.jsonl']) {
      expect(fs.readFileSync(at('whole', name)), name).toEqual(fs.readFileSync(at('straight', name)));
    }
    const { stages: _, out, ...figures } = resumed;
    const { stages: __, out: ___, ...expected } = straight;
    expect([out, figures]).toEqual([at('whole'), expected]);
  });

  test('its report has every figure', () => {
    const report = readJson('whole', 'report.json');
    expect(report).toMatchObject({
      seed: 5,
      model: { hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      device: 'cpu',
      target: { base: { n: 8 }, amplified: { n: 8 }, gain: expect.any(Number), p: expect.any(Number) },
      sets: { unseen: { base: { n: 4 } } },
      controls: { choice: { base: { n: 6 } }, recall: { amplified: { n: 6 } } },
      circuit: { components: 16, total: 168, fraction: 16 / 168 },
    });
    expect(Object.keys(report.stages)).toEqual(['generate', 'localize', 'mask', 'amplify', 'evaluate']);
  });

  test('options override the file; several seeds are put together', async () => {
    const line = [
      'run',
      '--experiment',
      file,
      '--out',
      at('study'),
      '--seeds',
      '2',
      '--steps',
      '1',
      '--limit',
      '12',
    ];
    const study = await result(line);
    expect(study.seeds).toEqual([5, 6]);
    expect(study.amplified.target.n).toBe(2);
    expect(readJson('study', 'report.json').seeds).toEqual([5, 6]);
    const { stages, seed } = readJson('study', 'seed-6', 'manifest.json');
    expect([seed, stages.amplify.steps, stages.generate.limit]).toEqual([6, 1, 12]);
  });

  test('without a file, control suites are split for their three uses', async () => {
    const inputs = [...model, '--problems', task.problems, '--controls', task.controls, '--out', at('plain')];
    const recipe = ['--steps', '1', '--budget', '10%', '--max-drop', '100', '--max-kl', '1000'];
    const report = await result(['run', ...inputs, ...SAMPLING, ...DECODING, ...recipe]);
    expect(report.controls).toMatchObject({ choice: { base: { n: 2 } }, recall: { base: { n: 2 } } });
    expect(report.target.base.n).toBeGreaterThan(0);
  });
});
