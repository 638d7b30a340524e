import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { InputError } from '../../server/errors.ts';
import { LOCK_NAMES } from '../../server/runs/lock.ts';
import type { RunSetup } from '../../server/runs/manifest.ts';
import { type OpenOptions, openRun, type Run } from '../../server/runs/run.ts';
import { artefacts, temporaryFolder } from './folders.ts';
import { setup } from './setup.ts';

const root = temporaryFolder();
let count = 0;

function newFolder(): string {
  return path.join(root, `run-${count++}`);
}

/** The message of the InputError that opening throws. */
function refusal(folder: string, asked: RunSetup, options: OpenOptions = {}): string {
  try {
    openRun(folder, asked, options).close('finished');
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('opened without complaint');
}

async function chunks(run: Run, from: number, to: number): Promise<void> {
  const stage = run.stage('generate', ['traces.jsonl']);
  for (let chunk = from; chunk < to; chunk++) {
    await stage.unit(`${chunk}`, () => ({
      result: chunk,
      records: { 'traces.jsonl': [{ chunk }, { chunk }] },
    }));
  }
}

describe('identity', () => {
  const folder = newFolder();
  openRun(folder, setup()).close('finished');

  test.each([
    [
      'model hash',
      setup({ model: { path: 'models/small', hash: 'cccc' } }),
      '"aaaa" in this run and "cccc" now',
    ],
    ['data.problems hash', setup({ data: { problems: { path: 'x', hash: 'dddd' } } }), '"bbbb"'],
    ['seed', setup({ seed: 8 }), 'seed is 7 in this run and 8 now'],
    [
      'stages.generate.temperature.right',
      setup({ stages: { generate: { samples: 4, temperature: { wrong: 0.8, right: 1 } } } }),
      'is 1.2 in this run and 1 now',
    ],
    ['stages.generate.samples', setup({ stages: { generate: {} } }), 'is 4 in this run and not set now'],
    ['product.version', setup({ product: { name: 'circuit-amplifier', version: '2.0.0' } }), 'is 1'],
  ])('another %s is refused, and the remedy is named', (field, asked, detail) => {
    const message = refusal(folder, asked);
    expect(message).toContain(field);
    expect(message).toContain(detail);
    expect(message).toContain('--out');
    expect(message).toContain('--fresh');
    expect(message).not.toContain('\n');
  });

  test('another path, device or minor version is not', () => {
    const asked = setup({
      device: 'cuda',
      model: { path: 'elsewhere', hash: 'aaaa' },
      product: { name: 'circuit-amplifier', version: '1.9.0' },
    });
    openRun(folder, asked).close('finished');
    expect(JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8')).device).toBe('cuda');
  });

  test('stages and data can be added, and are then fixed too', () => {
    const mask = {
      data: { pairs: { path: 'pairs.jsonl', hash: 'eeee' } },
      stages: { mask: { lambda: 0.01 } },
    };
    openRun(folder, setup(mask)).close('finished');
    const stored = JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8'));
    expect(Object.keys(stored.stages)).toEqual(['generate', 'mask']);
    expect(Object.keys(stored.data)).toEqual(['problems', 'pairs']);
    expect(refusal(folder, setup({ stages: { mask: { lambda: 0.1 } } }))).toContain('stages.mask.lambda');
  });

  test('a stage refuses inputs other than those it began with', () => {
    const first = openRun(folder, setup());
    first.stage('generate', ['traces.jsonl'], { prompts: 'one' });
    first.close('cancelled');
    const second = openRun(folder, setup());
    expect(() => second.stage('generate', ['traces.jsonl'], { prompts: 'two' })).toThrow(/prompts.*generate/);
    second.close('failed');
  });
});

describe('resuming', () => {
  test('recorded results are returned and not computed again', async () => {
    const folder = newFolder();
    const first = openRun(folder, setup());
    const value = { text: '数😀', list: [1, 0.1, null], nested: { deep: true } };
    await first.stage('generate').unit('a', () => ({ result: value }));
    first.close('cancelled');
    const second = openRun(folder, setup());
    expect(second.resumed).toBe(true);
    const again = await second.stage('generate').unit('a', () => {
      throw new Error('computed again');
    });
    expect(again).toEqual(value);
    second.close('finished');
  });

  test('whatever part of the journal reached the disk, the artefact ends the same', async () => {
    const whole = newFolder();
    const run = openRun(whole, setup());
    await chunks(run, 0, 8);
    run.close('finished');
    const expected = artefacts(whole);
    const journal = fs.readFileSync(path.join(whole, 'journal.jsonl'));
    for (let cut = 0; cut <= journal.length; cut += 37) {
      const folder = newFolder();
      fs.cpSync(whole, folder, { recursive: true });
      fs.writeFileSync(path.join(folder, 'journal.jsonl'), journal.subarray(0, cut));
      // The journal is written after the artefact, so the artefact may be ahead, with a part of the next chunk.
      fs.appendFileSync(path.join(folder, 'traces.jsonl'), '{"chu');
      const resumed = openRun(folder, setup());
      await chunks(resumed, 0, 8);
      resumed.close('finished');
      expect(artefacts(folder)).toEqual(expected);
    }
  });

  test('a last line whose bytes never reached the disk is cut off; a broken line before it is reported', async () => {
    const folder = newFolder();
    const file = path.join(folder, 'journal.jsonl');
    const run = openRun(folder, setup());
    await chunks(run, 0, 2);
    run.close('cancelled');
    fs.appendFileSync(file, `${'\0'.repeat(80)}\n`);
    openRun(folder, setup()).close('cancelled');
    expect(fs.readFileSync(file, 'utf8')).not.toContain('\0');
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    lines[2] = 'broken';
    fs.writeFileSync(file, lines.join('\n'));
    expect(refusal(folder, setup())).toContain('journal.jsonl:3: is not a journal event');
    openRun(folder, setup(), { fresh: true }).close('cancelled');
  });

  test.each([
    ['shorter', (text: string) => text.slice(0, -1)],
    ['of other content', (text: string) => text.replace('"chunk":1', '"chunk":7')],
  ])('a committed artefact that is %s is refused', async (_, change) => {
    const folder = newFolder();
    const file = path.join(folder, 'traces.jsonl');
    const run = openRun(folder, setup());
    await chunks(run, 0, 3);
    run.close('cancelled');
    fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
    const again = openRun(folder, setup());
    expect(() => again.stage('generate', ['traces.jsonl'])).toThrow(/traces\.jsonl: was changed.*--fresh/);
    again.close('failed');
  });

  test('a finished stage is left as the user edited it', async () => {
    const folder = newFolder();
    const file = path.join(folder, 'pairs.jsonl');
    const run = openRun(folder, setup());
    const stage = run.stage('generate', ['pairs.jsonl']);
    await stage.unit('all', () => ({ result: 1, records: { 'pairs.jsonl': [{ desired: 5 }] } }));
    stage.finish({ pairs: 1 });
    run.close('cancelled');
    fs.appendFileSync(file, '{"desired":6}\n');
    const again = openRun(folder, setup());
    const ended = again.stage('generate', ['pairs.jsonl']);
    expect(ended.finished).toBe(true);
    expect(ended.summary).toEqual({ pairs: 1 });
    again.close('finished');
    expect(fs.readFileSync(file, 'utf8')).toBe('{"desired":5}\n{"desired":6}\n');
  });

  test('going on from a snapshot takes back what came after it', async () => {
    const folder = newFolder();
    const run = openRun(folder, setup());
    const stage = run.stage('generate', ['curve.jsonl']);
    const step = (i: number) => ({ result: i, records: { 'curve.jsonl': [{ step: i }] } });
    await stage.unit('0', () => step(0));
    stage.saveState(0, Uint8Array.of(10, 0, 255));
    await stage.unit('1', () => step(1));
    run.close('cancelled');
    for (let session = 0; session < 2; session++) {
      const again = openRun(folder, setup());
      const resumed = again.stage('generate', ['curve.jsonl']);
      expect(resumed.state?.step).toBe(0);
      expect([...resumed.state!.bytes]).toEqual([10, 0, 255]);
      expect([...resumed.records('curve.jsonl')]).toEqual([{ step: 0 }]);
      expect([resumed.has('0'), resumed.has('1'), resumed.done]).toEqual([true, false, 1]);
      await resumed.unit('1', () => step(1));
      if (session === 1) resumed.finish(null);
      again.close('cancelled');
    }
    expect(fs.existsSync(path.join(folder, 'generate.state'))).toBe(false);
  });

  test('units computed side by side are committed in order, none after a failed one', async () => {
    const folder = newFolder();
    const run = openRun(folder, setup());
    const stage = run.stage('generate', ['traces.jsonl']);
    const slow = (i: number, milliseconds: number) => async () => {
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      if (i === 2) throw new Error('failed');
      return { result: i, records: { 'traces.jsonl': [i] } };
    };
    const outcomes = await Promise.allSettled([30, 1, 15, 5].map((ms, i) => stage.unit(`${i}`, slow(i, ms))));
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect([...stage.records('traces.jsonl')]).toEqual([0, 1]);
    run.close('failed', 'failed');
  });

  test('results that JSON would change are refused', async () => {
    const run = openRun(newFolder(), setup());
    const stage = run.stage('generate', ['traces.jsonl']);
    await expect(stage.unit('a', () => ({ result: { loss: Number.NaN } }))).rejects.toThrow('loss is NaN');
    run.close('failed');
    const other = openRun(newFolder(), setup());
    const records = { 'traces.jsonl': [{ ids: new Int32Array(2) }] };
    const unit = other.stage('generate', ['traces.jsonl']).unit('a', () => ({ result: 0, records }));
    await expect(unit).rejects.toThrow('ids is a typed array');
    other.close('failed');
  });
});

describe('--fresh', () => {
  test('starts over; files that the run did not make are kept', async () => {
    const folder = newFolder();
    const run = openRun(folder, setup());
    await chunks(run, 0, 3);
    run.writeArtefact('report.json', '{}');
    run.close('finished');
    fs.writeFileSync(path.join(folder, 'notes.txt'), 'mine');
    const fresh = openRun(folder, setup({ seed: 9 }), { fresh: true });
    expect(fresh.resumed).toBe(false);
    expect(Object.keys(artefacts(folder))).toEqual(['notes.txt', 'run.lock']);
    await chunks(fresh, 0, 1);
    fresh.close('finished');
    expect(fs.readFileSync(path.join(folder, 'traces.jsonl'), 'utf8').split('\n').length).toBe(3);
  });

  test('of one stage keeps the others', async () => {
    const folder = newFolder();
    const stages = { generate: { samples: 4 }, mask: { lambda: 1 } };
    const run = openRun(folder, setup({ stages }));
    await chunks(run, 0, 3);
    await run
      .stage('mask', ['search.jsonl'])
      .unit('0', () => ({ result: 1, records: { 'search.jsonl': [1] } }));
    run.close('finished');
    const again = openRun(folder, setup({ stages: { mask: { lambda: 2 } } }), { fresh: true });
    expect(again.stage('mask', ['search.jsonl']).done).toBe(0);
    again.close('finished');
    expect(fs.statSync(path.join(folder, 'search.jsonl')).size).toBe(0);
    expect(fs.statSync(path.join(folder, 'traces.jsonl')).size).toBeGreaterThan(0);
    const other = setup({ seed: 8, stages: { mask: { lambda: 2 } } });
    expect(refusal(folder, other, { fresh: true })).toContain('seed is 7');
  });
});

describe('folders', () => {
  test('a folder of something else gets no file of ours', () => {
    const folder = newFolder();
    fs.mkdirSync(folder);
    fs.writeFileSync(path.join(folder, 'thesis.tex'), '');
    expect(refusal(folder, setup(), { fresh: true })).toContain('it has thesis.tex and no manifest.json');
    expect(fs.readdirSync(folder)).toEqual(['thesis.tex']);
    fs.writeFileSync(path.join(folder, 'manifest.json'), '{"name": "a web page"}');
    expect(refusal(folder, setup(), { fresh: true })).toContain('is not the manifest of a run');
  });

  test('whenever a kill hits while a run is created, its folder opens again', async () => {
    const folder = newFolder();
    const left = path.join(root, 'left');
    const calls = ['openSync', 'ftruncateSync', 'writeSync', 'fsyncSync', 'renameSync', 'closeSync'] as const;
    let watched = true;
    let moments = 0;
    for (const name of calls) {
      const call = fs[name] as (...given: unknown[]) => unknown;
      vi.spyOn(fs, name).mockImplementation(((...given: unknown[]) => {
        if (watched) {
          watched = false;
          fs.cpSync(folder, path.join(left, `${moments++}`), { recursive: true });
          watched = true;
        }
        return call(...given);
      }) as never);
    }
    syncBuiltinESMExports();
    const run = openRun(folder, setup());
    watched = false;
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    await chunks(run, 0, 2);
    run.close('finished');
    expect(moments).toBeGreaterThan(8);
    for (const moment of fs.readdirSync(left)) {
      const killed = path.join(left, moment);
      // The lock names this process, which lives; that a dead one's is taken over has tests of its own.
      for (const name of LOCK_NAMES) fs.rmSync(path.join(killed, name), { recursive: true, force: true });
      const again = openRun(killed, setup());
      await chunks(again, 0, 2);
      again.close('finished');
      expect(artefacts(killed)).toEqual(artefacts(folder));
    }
  });

  test('a file in the place of the folder, and a folder below a file', () => {
    const file = path.join(root, 'file');
    fs.writeFileSync(file, '');
    expect(refusal(file, setup())).toContain(file);
    expect(refusal(path.join(file, 'below'), setup())).toContain('not a folder');
  });

  test.skipIf(process.getuid?.() === 0)('a folder that may not be written', () => {
    const folder = newFolder();
    fs.mkdirSync(folder, { mode: 0o555 });
    expect(refusal(folder, setup())).toContain('permission denied');
  });

  test.each(['traces.jsonl', 'journal.jsonl'])('a disk that fills up while %s is written', async (name) => {
    const folder = newFolder();
    const run = openRun(folder, setup());
    await chunks(run, 0, 2);
    run.close('cancelled');
    const again = openRun(folder, setup());
    const stage = again.stage('generate', ['traces.jsonl']);
    const unit = (key: number) =>
      stage.unit(`${key}`, () => ({
        result: key,
        records: { 'traces.jsonl': [{ chunk: key }, { chunk: key }] },
      }));
    const { ino } = fs.statSync(path.join(folder, name));
    const write = fs.writeSync.bind(fs) as (
      fd: number,
      data: Uint8Array,
      at: number,
      n: number,
      pos: number,
    ) => number;
    const full = vi.spyOn(fs, 'writeSync').mockImplementation(((
      fd: number,
      data: Uint8Array,
      _at: number,
      n: number,
      pos: number,
    ) => {
      if (fs.fstatSync(fd).ino !== ino) return write(fd, data, 0, n, pos);
      write(fd, data, 0, 5, pos);
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    }) as typeof fs.writeSync);
    await expect(unit(2)).rejects.toThrow(new RegExp(`${name}: no space left`));
    full.mockRestore();
    again.close('failed', 'no space left');
    const later = openRun(folder, setup());
    await chunks(later, 0, 4);
    later.close('finished');
    const straight = newFolder();
    const whole = openRun(straight, setup());
    await chunks(whole, 0, 4);
    whole.close('finished');
    expect(artefacts(folder)).toEqual(artefacts(straight));
  });

  test('names that lead out of the folder or are taken are a bug', () => {
    const stages = { generate: {}, mask: {} };
    const run = openRun(newFolder(), setup({ stages }));
    run.stage('generate', ['traces.jsonl']);
    for (const name of [
      '../x',
      '/x',
      'a/../../x',
      '',
      'a\\b',
      'manifest.json',
      'journal.jsonl',
      'run.lock',
      'traces.jsonl',
    ]) {
      expect(() => run.writeArtefact(name, '')).toThrow(/name/);
    }
    expect(() => run.stage('mask', ['traces.jsonl'])).toThrow('taken');
    run.close('failed');
  });
});
