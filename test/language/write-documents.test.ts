import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parseTraceDocument } from '../../server/data/trace-document.ts';
import { Cancelled } from '../../server/errors.ts';
import { documentFile, writeDocuments } from '../../server/language/write-documents.ts';
import { scratch } from '../cli/built.ts';
import { demo, pairAt, traceOf } from './sample.ts';

const run = scratch();
const traces = ['a/greedy', 'a/sample-0', 'b/greedy'].map((id) =>
  traceOf(demo, `Q ${id}`, ' 1 + 2 = 3.', { id }),
);
const pair = pairAt(traces[1]!, 1, 5);
const foreign = { ...pair, id: 'foreign', prefix: [1, 2] };
fs.writeFileSync(
  path.join(run, 'traces.jsonl'),
  // The run is still at work: its last line is not whole.
  `${traces.map((trace) => JSON.stringify(trace)).join('\n')}\n{"id":"b/sam`,
);
fs.writeFileSync(path.join(run, 'pairs.jsonl'), `${JSON.stringify(pair)}\n${JSON.stringify(foreign)}\n`);

const options = { run, out: null, model: '/models/demo', tokenizerOf: () => demo };

test('one of a run that is still at work, by its id; others are not written', async () => {
  const written = await writeDocuments({ ...options, which: new Set(['a/sample-0']) });
  expect(written).toEqual({ folder: path.join(run, 'documents'), written: 1, kept: 0, unplaced: 1 });
  expect(fs.readdirSync(path.join(run, 'documents'))).toEqual(['a--sample-0.trace']);
  const { pivots } = parseTraceDocument(fs.readFileSync(documentFile(run, 'a/sample-0'), 'utf8'));
  expect(pivots).toMatchObject([{ token: pair.prefix.length, desired: 5 }]);
});

test('elsewhere, with paths from there', async () => {
  const out = path.join(run, 'elsewhere', 'deep');
  expect(await writeDocuments({ ...options, out, which: 'all' })).toMatchObject({ written: 3, kept: 0 });
  const { model, run: from } = parseTraceDocument(
    fs.readFileSync(documentFile(run, 'b/greedy', out), 'utf8'),
  );
  expect(path.resolve(out, model!)).toBe('/models/demo');
  expect(from).toBe('../..');
});

test('an id that the run does not have, and a cancelled call', async () => {
  await expect(writeDocuments({ ...options, which: new Set(['c']) })).rejects.toThrow(/has no trace c/);
  const signal = { aborted: true };
  await expect(writeDocuments({ ...options, which: 'all', signal })).rejects.toThrow(Cancelled);
});
