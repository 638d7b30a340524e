import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { deleteRun, describeRun, listRuns } from '../../server/runs/catalogue.ts';
import { openRun } from '../../server/runs/run.ts';
import { temporaryFolder } from './folders.ts';
import { setup } from './setup.ts';

const root = temporaryFolder();

async function makeRun(folder: string, report: Record<string, unknown> | null): Promise<void> {
  const run = openRun(folder, setup({ stages: { generate: {}, mask: {} } }));
  const stage = run.stage('generate', ['traces.jsonl']);
  for (const key of ['a', 'b'])
    await stage.unit(key, () => ({ result: 1, records: { 'traces.jsonl': [key] } }));
  stage.finish({ traces: 2 });
  if (report) run.writeArtefact('report.json', JSON.stringify(report));
  run.writeArtefact('merged/config.json', '{}');
  run.close('finished');
}

test('a run is described from its folder alone', async () => {
  const folder = path.join(root, 'described');
  await makeRun(folder, { target: { gain: 0.25 } });
  const before = fs.readdirSync(folder).map((name) => [name, fs.statSync(path.join(folder, name)).mtimeMs]);
  const run = describeRun(folder);
  expect(run.status).toBe('finished');
  expect(run.holder).toBeNull();
  expect(run.report).toEqual({ target: { gain: 0.25 } });
  expect(run.stages.map(({ seconds, ...stage }) => stage)).toEqual([
    { name: 'generate', status: 'finished', units: 2, summary: { traces: 2 } },
    { name: 'mask', status: 'waiting', units: 0, summary: null },
  ]);
  expect(run.artefacts).toContainEqual({ name: 'traces.jsonl', bytes: 8 });
  expect(fs.readdirSync(folder).map((name) => [name, fs.statSync(path.join(folder, name)).mtimeMs])).toEqual(
    before,
  );
});

test('a run that is being written is running; one whose writer vanished is interrupted', () => {
  const folder = path.join(root, 'running');
  const run = openRun(folder, setup());
  expect(describeRun(folder).status).toBe('running');
  const copy = path.join(root, 'vanished');
  fs.cpSync(folder, copy, { recursive: true });
  fs.rmSync(path.join(copy, 'run.lock'));
  expect(describeRun(copy).status).toBe('interrupted');
  run.close('failed', 'out of memory');
  const { status, manifest } = describeRun(folder);
  expect([status, manifest.error]).toEqual(['failed', 'out of memory']);
});

test('runs are listed newest first; damaged ones apart; other folders not at all', async () => {
  const base = path.join(root, 'listed');
  for (const [name, created] of [
    ['old', '2020-01-01'],
    ['new', '2022-01-01'],
    ['middle', '2021-01-01'],
  ] as const) {
    const folder = path.join(base, name);
    await makeRun(folder, null);
    const file = path.join(folder, 'manifest.json');
    fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(fs.readFileSync(file, 'utf8')), created }));
  }
  fs.mkdirSync(path.join(base, 'other'));
  fs.mkdirSync(path.join(base, 'damaged'));
  fs.writeFileSync(path.join(base, 'damaged', 'manifest.json'), '{');
  const { runs, broken } = await listRuns(base);
  expect(runs.map((run) => path.basename(run.folder))).toEqual(['new', 'middle', 'old']);
  expect(broken.map((run) => path.basename(run.folder))).toEqual(['damaged']);
  await expect(listRuns(path.join(base, 'absent'))).rejects.toThrow('no such file or folder');
});

test('deleting a run deletes what it made and nothing else', async () => {
  const folder = path.join(root, 'deleted');
  await makeRun(folder, {});
  expect(deleteRun(folder)).toEqual({ kept: [] });
  expect(fs.existsSync(folder)).toBe(false);

  await makeRun(folder, {});
  fs.writeFileSync(path.join(folder, 'notes.txt'), 'mine');
  expect(deleteRun(folder)).toEqual({ kept: ['notes.txt'] });
  expect(fs.readdirSync(folder)).toEqual(['notes.txt']);
  expect(() => deleteRun(folder)).toThrow('is not a run folder');
});

test('only run folders that nobody writes can be deleted', () => {
  const folder = path.join(root, 'in-use');
  const run = openRun(folder, setup());
  expect(() => deleteRun(folder)).toThrow('is being written by');
  run.close('finished');
  expect(() => deleteRun(path.join(root, 'nowhere'))).toThrow('no such file or folder');
  const other = path.join(root, 'other');
  fs.mkdirSync(other);
  fs.writeFileSync(path.join(other, 'manifest.json'), '{"name": "a web page"}');
  expect(() => deleteRun(other)).toThrow('is not the manifest of a run');
  expect(fs.readdirSync(other)).toEqual(['manifest.json']);
});

test('a journal that names files outside the folder, or behind a link, deletes none of them', async () => {
  const outside = path.join(root, 'outside');
  fs.mkdirSync(outside);
  fs.writeFileSync(path.join(outside, 'precious'), '');
  for (const name of ['../outside/precious', 'link/precious']) {
    const folder = path.join(root, 'tampered');
    await makeRun(folder, null);
    fs.symlinkSync(outside, path.join(folder, 'link'));
    fs.appendFileSync(
      path.join(folder, 'journal.jsonl'),
      `${JSON.stringify({ time: '', event: 'artefact', name })}\n`,
    );
    expect(() => deleteRun(folder)).toThrow('leads out of the run folder');
    expect(fs.existsSync(path.join(outside, 'precious'))).toBe(true);
    fs.rmSync(folder, { recursive: true });
  }
});
