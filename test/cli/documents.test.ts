import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadTokenizer } from '../../server/checkpoint/tokenizer.ts';
import { parseTraceDocument } from '../../server/data/trace-document.ts';
import { applyEdits, setExcluded, setStatus } from '../../server/data/trace-edits.ts';
import { documentName } from '../../server/data/trace-files.ts';
import { traceIds } from '../../server/data/trace-print.ts';
import { pairAt, traceOf } from '../language/sample.ts';
import { build, cca, fixture, result, scratch } from './built.ts';

const root = scratch();
const at = (...names: string[]) => path.join(root, ...names);
const folder = fixture('llama-tied');
const model = ['--model', folder];
const tokenizer = loadTokenizer(folder);
const jsonLines = (records: readonly object[]) => records.map((one) => `${JSON.stringify(one)}\n`).join('');

const traces = ['p0/greedy', 'p0/sample-0', 'p1/greedy', 'p1/sample-0', 'p2/sample-1'].map((id, i) =>
  traceOf(tokenizer, `How many are ${i} and 4 = `, ` ${i} and 4 is ${i + 4}. The answer is ${i}.`, {
    id,
    problem_id: id.split('/')[0]!,
    target: i % 2,
  }),
);
const pairs = [traces[1]!, traces[3]!, traces[4]!].map((trace, i) => pairAt(trace, 2 + i, 5));

beforeAll(async () => {
  await build();
  fs.mkdirSync(at('run'));
  fs.writeFileSync(at('run', 'traces.jsonl'), jsonLines(traces));
  fs.writeFileSync(at('run', 'pairs.jsonl'), jsonLines(pairs));
});

const documents = ['documents', '--run', at('run')];
const file = (id: string) => at('run', 'documents', documentName(id));
const read = (id: string) => parseTraceDocument(fs.readFileSync(file(id), 'utf8'));

describe('cca documents', () => {
  test('writes those of the traces with pairs, then the others; what is there is kept', async () => {
    expect(await result([...documents, ...model])).toMatchObject({ written: 3, kept: 0, unplaced: 0 });
    fs.appendFileSync(file('p0/sample-0'), '\n');
    const edited = fs.readFileSync(file('p0/sample-0'));
    const { stdout } = await cca([...documents, ...model, '--which', 'all', '--quiet']);
    expect(stdout).toBe(`2 documents written to ${at('run', 'documents')}, 3 kept as they were\n`);
    expect(fs.readFileSync(file('p0/sample-0'))).toEqual(edited);
    for (const trace of traces) {
      const document = read(trace.id);
      expect(document).toMatchObject({ faults: [], id: trace.id, promptIds: trace.prompt_ids, run: '..' });
      expect(path.resolve(at('run', 'documents'), document.model!)).toBe(folder);
      expect(document.text.slice(document.bodyStart).trimEnd()).toBe(tokenizer.decode(traceIds(trace)));
    }
    expect(read('p1/sample-0').pivots).toMatchObject([{ token: pairs[1]!.prefix.length, desired: 5 }]);
    expect(read('p0/greedy').pivots).toEqual([]);
  });

  test('a folder without a manifest needs the model; one that is no run is refused', async () => {
    const { code, stderr } = await cca(documents);
    expect([code, stderr]).toEqual([2, expect.stringContaining('is not a run folder')]);
    fs.mkdirSync(at('other'));
    const other = await cca(['documents', '--run', at('other'), ...model]);
    expect([other.code, other.stderr]).toEqual([2, expect.stringMatching(/traces\.jsonl: no such file/)]);
  });
});

describe('training on annotations', () => {
  const dcm = ['--select', 'dcm', '--lambda', '0.5', '--epochs', '1', '--threads', '1'];
  const mask = (source: string, out: string) =>
    cca(['mask', ...model, ...dcm, '--pairs', at(source), '--out', at(out), '--quiet']);
  const bytes = (out: string) => fs.readFileSync(at(out, 'mask.json'));
  const annotate = (id: string, edit: Parameters<typeof applyEdits>[1]) =>
    fs.writeFileSync(file(id), applyEdits(fs.readFileSync(file(id), 'utf8'), edit));

  test('unedited documents train what the pairs train, bit for bit', async () => {
    expect(await mask('run/pairs.jsonl', 'plain')).toMatchObject({ code: 0 });
    expect(await mask('run', 'run-folder')).toMatchObject({ code: 0 });
    expect(await mask('run/documents', 'folder')).toMatchObject({ code: 0 });
    expect(bytes('run-folder')).toEqual(bytes('plain'));
    expect(JSON.parse(bytes('folder').toString()).pairs).toEqual(JSON.parse(bytes('plain').toString()).pairs);
  });

  test('an annotation changes what is trained on, and a run that began before it does not go on', async () => {
    const [first] = pairs;
    annotate('p0/sample-0', setStatus(read('p0/sample-0'), first!.prefix.length, 'rejected', tokenizer));
    annotate('p2/sample-1', setExcluded(read('p2/sample-1'), true));
    const again = await mask('run', 'run-folder');
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('mask.pairs')]);
    expect(await mask('run', 'annotated')).toMatchObject({ code: 0 });
    fs.writeFileSync(at('kept.jsonl'), jsonLines([pairs[1]!]));
    expect(await mask('kept.jsonl', 'kept')).toMatchObject({ code: 0 });
    expect(bytes('annotated')).toEqual(bytes('kept'));
    expect(bytes('annotated')).not.toEqual(bytes('plain'));
  });

  test('files that no pair is read from may change', async () => {
    fs.writeFileSync(at('run', 'documents', 'notes.md'), 'reviewed by two');
    expect(await mask('run', 'annotated')).toMatchObject({ code: 0 });
  });

  test('export takes a run folder too', async () => {
    const out = ['--out', at('dpo.jsonl')];
    const { records } = await result(['export', '--format', 'dpo', ...model, '--pairs', at('run'), ...out]);
    expect(records).toBe(1);
  });
});
