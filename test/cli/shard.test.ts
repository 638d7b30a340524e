import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, cca, events, result, scratch } from './built.ts';

const demo = path.resolve(import.meta.dirname, '../../media/demo');
const root = scratch();
const at = (...names: string[]) => path.join(root, ...names);
const data = (name: string) => path.join(demo, 'data', name);
const model = ['--model', path.join(demo, 'model'), '--threads', '1'];
const bytes = (...names: string[]) => fs.readFileSync(at(...names));
const readJson = (...names: string[]) => JSON.parse(bytes(...names).toString());

const SHARDS = [1, 2, 3];
/** Milliseconds: a dozen processes one after the other, on a machine that may be busy. */
const BUSY = 600_000;
const generate = [
  ...['generate', ...model, '--problems', data('train.jsonl'), '--seed', '3'],
  // Four units of work: shards get two, one and one.
  ...['--limit', '390', '--samples', '3', '--counterparts', '2'],
];

/** Runs a stage whole and in shards, which are merged in another order than they were cut. */
async function bothWays(line: readonly string[], whole: string, merged: string, part: string) {
  await result([...line, '--out', at(whole)]);
  for (const i of SHARDS) await result([...line, '--shard', `${i}/3`, '--out', at(`${part}${i}`)]);
  return result(['merge', at(`${part}2`), at(`${part}3`), at(`${part}1`), '--out', at(merged)]);
}

beforeAll(build);

describe('three shards, merged, give the bytes of one run', () => {
  test(
    'generate',
    async () => {
      const { stages } = await bothWays(generate, 'whole', 'merged', 'g');
      expect(bytes('merged', 'traces.jsonl').equals(bytes('whole', 'traces.jsonl'))).toBe(true);
      const traces = SHARDS.map(
        (i) => bytes(`g${i}`, 'traces.jsonl').toString().trimEnd().split('\n').length,
      );
      expect(Math.min(...traces)).toBeGreaterThan(60);
      const sum = traces.reduce((a, b) => a + b);
      expect(stages).toMatchObject([{ name: 'generate', units: 4, summary: { problems: 390, traces: sum } }]);
      // The manifest is one run's as well: the next session, or stage, goes on from it.
      const [merged, whole] = ['merged', 'whole'].map((run) => readJson(run, 'manifest.json'));
      expect([merged.stages, merged.data, merged.seed]).toEqual([whole.stages, whole.data, whole.seed]);
      const again = await events([...generate, '--out', at('merged')]);
      expect(again).toContainEqual({ event: 'stage', stage: 'generate', status: 'skipped' });
    },
    BUSY,
  );

  test(
    'localize',
    async () => {
      const line = ['localize', ...model, '--traces', at('whole', 'traces.jsonl'), '--seed', '3'];
      const { stages } = await bothWays(line, 'whole', 'merged', 'l');
      expect(bytes('merged', 'pairs.jsonl').equals(bytes('whole', 'pairs.jsonl'))).toBe(true);
      expect(stages[0]).toMatchObject({ name: 'localize', units: 2 });
      // More shards than units: one has none, and says so by an empty file.
      expect(bytes('l3', 'pairs.jsonl')).toHaveLength(0);
      expect(stages[0].summary.pairs).toBeGreaterThan(100);
    },
    BUSY,
  );

  test(
    'evaluate, of a model and of a patch against it',
    async () => {
      const pairs = ['--pairs', at('whole', 'pairs.jsonl')];
      const text = ['--text', data('text.jsonl')];
      await result(['mask', ...model, ...pairs, ...text, '--limit', '64', '--out', at('patch')]);
      await result([
        ...['amplify', ...model, ...pairs, ...text, '--mask', at('patch', 'mask.json'), '--unguarded'],
        ...['--problems', data('val.jsonl'), '--limit', '64', '--steps', '2', '--validate-every', '2'],
        ...['--kl-control', '0', '--kl-traces', '0', '--out', at('patch')],
      ]);
      const inputs = [
        '--problems',
        data('test.jsonl'),
        '--limit',
        '260',
        '--controls',
        data('controls.jsonl'),
      ];
      const line = ['evaluate', ...model, ...inputs, '--control-limit', '60', '--seed', '3'];
      const patched = [...line, '--patch', at('patch', 'patch.safetensors')];
      for (const [name, command] of [
        ['alone', line],
        ['patched', patched],
      ] as const) {
        const { stages } = await bothWays(command, `${name}-whole`, `${name}-merged`, `${name}-`);
        const files = ['evaluate-samples.jsonl', ...(name === 'patched' ? ['flips.jsonl'] : [])];
        for (const file of files) {
          expect(bytes(`${name}-merged`, file).equals(bytes(`${name}-whole`, file)), file).toBe(true);
        }
        const { stages: _, ...figures } = readJson(`${name}-merged`, 'report.json');
        const { stages: __, ...expected } = readJson(`${name}-whole`, 'report.json');
        expect(figures).toEqual(expected);
        expect(stages[0].summary.target).toEqual(expected.target);
        expect(fs.existsSync(at(`${name}-1`, 'report.json'))).toBe(false);
      }
      expect(readJson('patched-merged', 'report.json').target.base.n).toBe(260);
    },
    BUSY,
  );
});

describe('what does not belong together is refused with one line', () => {
  const refused = async (shards: readonly string[], out = 'none') => {
    const { code, stderr } = await cca(['merge', ...shards.map((name) => at(name)), '--out', at(out)]);
    expect(code).toBe(2);
    const [problem, ...progress] = stderr.trimEnd().split('\n').reverse();
    expect(progress).toEqual(out === 'none' ? [] : ['generate: started']);
    expect(fs.existsSync(at(out))).toBe(out !== 'none');
    return problem;
  };

  test('a shard that is missing, or given twice', async () => {
    expect(await refused(['g1', 'g3'])).toContain('missing: 2/3');
    expect(await refused(['g1', 'g2', 'g2', 'g3'])).toContain('shard 2/3 is given twice');
  });

  test('a run without shards, and a folder that is no run', async () => {
    expect(await refused(['g1', 'whole', 'g3'])).toContain('is no shard');
    fs.mkdirSync(at('empty'), { recursive: true });
    expect(await refused(['g1', 'empty'])).toContain('is not a run folder');
  });

  test('other settings, seeds, data, numbers of shards', async () => {
    const line = generate.map((word) => (word === '390' ? '40' : word));
    await result([...line, '--shard', '2/2', '--out', at('two')]);
    expect(await refused(['g1', 'two'])).toContain('number of shards is 2, there 3');
    await result([...line, '--shard', '2/3', '--out', at('limit')]);
    expect(await refused(['g1', 'limit', 'g3'])).toContain('settings.generate.limit is 40, there 390');
    await result([...line, '--seed', '4', '--shard', '2/3', '--out', at('seed')]);
    expect(await refused(['g1', 'seed', 'g3'])).toContain('seed is 4, there 3');
    await result([...line, '--problems', data('val.jsonl'), '--shard', '2/3', '--out', at('data')]);
    expect(await refused(['g1', 'data', 'g3'])).toContain('data.generate.problems');
  });

  test('a shard that was stopped, and one whose file was changed', async () => {
    const line = [...generate, '--shard', '1/3', '--out', at('stopped'), '--json'];
    await cca(line, { kill: { signal: 'SIGINT', when: '"done":128' } });
    expect(await refused(['stopped', 'g2', 'g3'])).toContain('stage generate of shard 1/3 is not finished');
    await result(line.slice(0, -1));
    await result(['merge', at('stopped'), at('g2'), at('g3'), '--out', at('resumed')]);
    expect(bytes('resumed', 'traces.jsonl').equals(bytes('whole', 'traces.jsonl'))).toBe(true);

    const file = at('stopped', 'traces.jsonl');
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"correct":true', '"correct":null'));
    expect(await refused(['stopped', 'g2', 'g3'], 'changed')).toContain(
      'was changed since the shard wrote it',
    );
  });

  test('a shard cannot go on in the folder of another, nor the whole in that of a shard', async () => {
    const { code, stderr } = await cca([...generate, '--shard', '2/3', '--out', at('g1')]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('stages.generate.shard is "1/3" in this run'),
    ]);
    const whole = await cca([...generate, '--out', at('g1')]);
    expect([whole.code, whole.stderr]).toEqual([2, expect.stringContaining('stages.generate.shard')]);
  });

  test.each(['0/3', '4/3', '1', '1/0', 'a/b', '-1/3', '1/3/5'])('--shard %s', async (shard) => {
    const { code, stderr } = await cca([...generate, '--shard', shard, '--out', at('never')]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--shard')]);
    expect(fs.existsSync(at('never'))).toBe(false);
  });
});
