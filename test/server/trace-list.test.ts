import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { TraceLists } from '../../server/lsp/trace-list.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-trace-list-'));
afterAll(() => fs.rmSync(scratch, { recursive: true }));

let folder: string;
let lists: TraceLists;
const line = (id: string, fields: object = {}) =>
  `${JSON.stringify({ id, problem_id: id, target: 3, answer: 4, correct: false, ...fields })}\n`;
const file = (name: string) => path.join(folder, name);
const list = (since: string | null = null) => lists.list(folder, since, neverAborted);
const ids = ({ rows }: { rows: { id: string }[] }) => rows.map(({ id }) => id);

function writeDocument(id: string, pivots: number, excluded = false): string {
  const target = file(`documents/${id}.trace`);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  const pivot = 'pivot: token=2 undesired=1 desired=2 method=human status=accepted\n';
  const out = excluded ? 'excluded: true\n' : '';
  fs.writeFileSync(
    target,
    `---\ntrace: 1\nid: ${id}\nproblem: ${id}\n${out}${pivot.repeat(pivots)}prompt_ids: 1\n`,
  );
  return target;
}

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(scratch, 'run-'));
  fs.writeFileSync(file('traces.jsonl'), line('a') + line('b'));
});

describe.each([
  ['one after another', undefined],
  ['several at a time', 0],
])('traces of a run that is at work, read %s', (_, slice) => {
  beforeEach(() => {
    lists = new TraceLists(slice);
  });

  test('only what came since is told, a line that is cut off when it is whole', async () => {
    const first = await list();
    expect([ids(first), first.partial]).toEqual([['a', 'b'], false]);
    const third = line('c');
    fs.appendFileSync(file('traces.jsonl'), third.slice(0, 20));
    const torn = await list(first.stamp);
    expect([ids(torn), torn.partial, torn.problems]).toEqual([[], true, []]);
    fs.appendFileSync(file('traces.jsonl'), third.slice(20));
    fs.writeFileSync(file('pairs.jsonl'), '{"trace":"a"}\n{"trace":"a","status":"rejected"}\n');
    const more = await list(torn.stamp);
    expect(ids(more).sort()).toEqual(['a', 'c']);
    expect(more.rows.find(({ id }) => id === 'a')!.pivots).toBe(1);
    expect(ids(await list(more.stamp))).toEqual([]);
    // Whoever knows an older answer gets all that came since that one.
    expect(ids(await list(first.stamp)).sort()).toEqual(['a', 'c']);
    expect(ids(await list())).toEqual(['a', 'b', 'c']);
  });

  test('a document that is made or changed is one row', async () => {
    const first = await list();
    const target = writeDocument('b', 2);
    const made = await list(first.stamp);
    expect(made.rows).toMatchObject([{ id: 'b', document: target, pivots: 2, excluded: false, target: 3 }]);
    writeDocument('b', 1, true);
    const changed = await list(made.stamp);
    expect(changed.rows).toMatchObject([{ id: 'b', pivots: 1, excluded: true }]);
    // The same words again are no news.
    fs.utimesSync(target, new Date(), new Date(Date.now() + 5000));
    expect(ids(await list(changed.stamp))).toEqual([]);
  });

  test('what was taken away or made anew is told from the beginning', async () => {
    const target = writeDocument('b', 2);
    const first = await list();
    fs.rmSync(target);
    const without = await list(first.stamp);
    expect([ids(without), without.partial]).toEqual([['a', 'b'], false]);
    expect(without.rows[1]).toMatchObject({ document: null, pivots: 0 });
    fs.writeFileSync(file('new'), line('z'));
    fs.renameSync(file('new'), file('traces.jsonl'));
    const anew = await list(without.stamp);
    expect([ids(anew), anew.partial]).toEqual([['z'], false]);
    expect((await list('of another process.7')).partial).toBe(false);
  });

  test('a broken line is told with its place, once', async () => {
    fs.appendFileSync(file('traces.jsonl'), 'no\n');
    const first = await list();
    fs.appendFileSync(file('traces.jsonl'), line('c'));
    expect((await list(first.stamp)).problems).toEqual([`${file('traces.jsonl')}:3: is not a JSON object`]);
  });

  test('two at once, one of them given up', async () => {
    const stopped = new AbortController();
    stopped.abort();
    const [one, two] = await Promise.allSettled([lists.list(folder, null, stopped.signal), list()]);
    expect(two).toMatchObject({ status: 'fulfilled', value: { rows: [{ id: 'a' }, { id: 'b' }] } });
    expect(['fulfilled', 'rejected']).toContain(one.status);
  });

  test('a folder that is none', async () => {
    await expect(lists.list(file('absent'), null, neverAborted)).rejects.toThrow('there is no such folder');
  });
});
