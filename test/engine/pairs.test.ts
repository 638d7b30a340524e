import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Pair, Trace } from '../../server/data/records.ts';
import { parseTraceDocument } from '../../server/data/trace-document.ts';
import * as edits from '../../server/data/trace-edits.ts';
import { documentName } from '../../server/data/trace-files.ts';
import { printTraceDocument } from '../../server/data/trace-print.ts';
import { excludedTraces, readAnyPairs, withExclusion } from '../../server/engine/inputs/pairs.ts';
import { readAnyTraces } from '../../server/engine/inputs/traces.ts';
import { InputError } from '../../server/errors.ts';
import type { Model } from '../../server/model/model.ts';
import { scratch } from '../cli/built.ts';
import { demo, pairAt, traceOf } from '../language/sample.ts';

const root = scratch();
const model = { tokenizer: demo, config: { vocabSize: demo.vocabSize } } as unknown as Model;
const trace = (id: string) => traceOf(demo, `Q ${id}`, ' 36 + 9 = 45 boxes.', { id, problem_id: id });
let count = 0;

/** A run folder with a pair for each of the traces, at their second token. */
function run(traces: readonly Trace[], more: readonly Pair[] = []): { folder: string; pairs: Pair[] } {
  const folder = path.join(root, `run${count++}`);
  fs.mkdirSync(folder);
  const pairs = [...traces.map((one) => pairAt(one, 1, 3, { confidence: 0.5 })), ...more];
  const lines = pairs.map((pair) => `${JSON.stringify(pair)}\n`).join('');
  fs.writeFileSync(path.join(folder, 'pairs.jsonl'), lines);
  return { folder, pairs };
}

type Edit = (document: ReturnType<typeof parseTraceDocument>) => edits.TextEdit[];

/** Writes the document of a trace, edited. */
function annotate(folder: string, one: Trace, pairs: readonly Pair[], ...changes: Edit[]): string {
  let text = printTraceDocument(one, pairs, demo);
  for (const change of changes) text = edits.applyEdits(text, change(parseTraceDocument(text)));
  const file = path.join(folder, documentName(one.id));
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}
const at = (one: Trace, k: number) => one.prompt_ids.length + k;

describe('a run folder with annotated documents', () => {
  const [a, b, c, d] = ['a/s', 'b/s', 'c/s', 'd/s'].map(trace) as [Trace, Trace, Trace, Trace];

  test('without documents, or with unedited ones, it is its pairs.jsonl', async () => {
    const { folder, pairs } = run([a, b, c]);
    expect(await readAnyPairs(model, folder)).toEqual(pairs);
    const file = annotate(path.join(folder, 'documents'), b, pairs.slice(1, 2));
    const [first, second, third] = pairs as [Pair, Pair, Pair];
    expect(await readAnyPairs(model, folder)).toEqual([first, { ...second, document: file }, third]);
  });

  test('accepted, edited, human ones in, rejected and excluded out, each with where it is from', async () => {
    const { folder, pairs } = run([a, b, c]);
    const documents = path.join(folder, 'documents');
    const fileA = annotate(
      documents,
      a,
      [pairs[0]!],
      (one) => edits.setDesired(one, at(a, 1), 7, demo),
      (one) => edits.markPivot(one, at(a, 3), 9, demo),
    );
    annotate(documents, b, [pairs[1]!], (one) => edits.setStatus(one, at(b, 1), 'rejected', demo));
    annotate(documents, c, [pairs[2]!], (one) => edits.setExcluded(one, true));
    const fileD = annotate(documents, d, [], (one) => edits.markPivot(one, at(d, 2), 9, demo));
    const common = { problem_id: 'a/s', trace: 'a/s', document: fileA };
    const prefix = (one: Trace, k: number) => [...one.prompt_ids, ...one.completion_ids.slice(0, k)];
    expect(await readAnyPairs(model, folder)).toEqual([
      {
        ...common,
        id: 'a/s/branching',
        prefix: prefix(a, 1),
        desired: 7,
        undesired: a.completion_ids[1],
        method: 'branching',
        status: 'edited',
      },
      {
        ...common,
        id: 'a/s/human',
        prefix: prefix(a, 3),
        desired: 9,
        undesired: a.completion_ids[3],
        method: 'human',
        status: 'accepted',
      },
      {
        id: 'd/s/human',
        prefix: prefix(d, 2),
        desired: 9,
        undesired: d.completion_ids[2],
        problem_id: 'd/s',
        method: 'human',
        trace: 'd/s',
        status: 'accepted',
        document: fileD,
      },
    ]);
    const excluded = await excludedTraces(folder, null);
    expect(excluded).toEqual(new Map(['a/s', 'b/s', 'c/s', 'd/s'].map((id) => [id, id === 'c/s'])));
    // A document decides, whatever the run that the traces are from said.
    const out = (one: Trace) => withExclusion(one, excluded).excluded;
    expect([a, c, { ...a, excluded: true }, trace('e/s')].map(out)).toEqual([
      undefined,
      true,
      undefined,
      undefined,
    ]);
    expect(printTraceDocument({ ...c, excluded: true }, [], demo)).toContain('\nexcluded: true\n');
  });

  test('a pair that its document cannot hold stays, unless the trace is excluded', async () => {
    const foreign = { ...pairAt(a, 1, 4), id: 'foreign', prefix: [1, 2, 3] };
    const { folder, pairs } = run([a], [foreign]);
    const documents = path.join(folder, 'documents');
    annotate(documents, a, pairs, (one) => edits.setStatus(one, at(a, 1), 'rejected', demo));
    expect(await readAnyPairs(model, folder)).toEqual([foreign]);
    annotate(documents, a, pairs, (one) => edits.setExcluded(one, true));
    await expect(readAnyPairs(model, folder)).rejects.toThrow(/has no pair to train on.*Accept or mark/);
  });
});

describe('documents alone', () => {
  const all = ['x', 'y', 'z'].map(trace);

  test('a folder of them, in sub-folders too, by path; and one', async () => {
    const folder = path.join(root, 'reviewed');
    const files = all.map((one, i) =>
      annotate(path.join(folder, ['b', 'a', '.'][i]!), one, [pairAt(one, 1, 3)]),
    );
    fs.mkdirSync(path.join(folder, '.git'));
    fs.writeFileSync(path.join(folder, '.git', 'x.trace'), 'not a document');
    fs.writeFileSync(path.join(folder, 'notes.md'), 'not a document');
    const pairs = await readAnyPairs(model, folder);
    expect(pairs.map(({ trace: id }) => id)).toEqual(['y', 'x', 'z']);
    expect(await readAnyPairs(model, files[1]!)).toEqual(pairs.slice(0, 1));
  });

  test('10,000 of them', async () => {
    const folder = path.join(root, 'many');
    for (let i = 0; i < 10_000; i++) {
      const one = { ...all[0]!, id: `many-${i}` };
      if (i === 0) annotate(folder, one, [pairAt(one, 1, 3)]);
      else {
        const text = fs.readFileSync(path.join(folder, 'many-0.trace'), 'utf8');
        fs.writeFileSync(
          path.join(folder, documentName(one.id)),
          text.replace('id: many-0', `id: ${one.id}`),
        );
      }
    }
    const start = performance.now();
    const pairs = await readAnyPairs(model, folder);
    // Measured 1.3 s with two cores; what matters is that it does not grow faster than the documents do.
    expect(performance.now() - start).toBeLessThan(15_000);
    expect(pairs).toHaveLength(10_000);
    expect(pairs.slice(0, 3).map(({ trace: id }) => id)).toEqual(['many-0', 'many-1', 'many-10']);
  });
});

describe('refused with one line', () => {
  const one = trace('one');
  const folder = (name: string) => {
    const made = path.join(root, name);
    fs.mkdirSync(made, { recursive: true });
    return made;
  };
  const refused = async (source: string, message: RegExp) => {
    await expect(readAnyPairs(model, source)).rejects.toThrow(InputError);
    await expect(readAnyPairs(model, source)).rejects.toThrow(message);
  };

  test('a folder with neither pairs nor documents, and none at all', async () => {
    await refused(folder('empty'), /empty: has neither pairs\.jsonl nor documents \*\.trace\. Name a run/);
    await refused(path.join(root, 'missing'), /missing: no such file or folder/);
  });

  test('a broken document, with its line', async () => {
    const file = annotate(folder('broken'), one, [pairAt(one, 1, 3)]);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(' status=auto', ' status=good'));
    await refused(path.dirname(file), /one\.trace:10: "pivot" has "status=good"\. Give one of auto/);
  });

  test('tokens that the model does not have', async () => {
    const file = annotate(folder('vocabulary'), one, [pairAt(one, 1, 3)]);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(' desired=3', ' desired=70000'));
    await refused(file, /one\.trace:10: the model has no token 70000/);
  });

  test('two documents of one trace', async () => {
    annotate(folder('twice/a'), one, []);
    annotate(folder('twice/b'), one, []);
    await refused(path.join(root, 'twice'), /b\/one\.trace: id "one" stands at .*a\/one\.trace already/);
  });

  test('a text that is no UTF-8', async () => {
    fs.writeFileSync(path.join(folder('latin'), 'one.trace'), Buffer.from([0xe9, 0x0a]));
    await refused(path.join(root, 'latin'), /one\.trace: is not UTF-8 text/);
  });
});

describe('traces of the reference code', () => {
  const record = (tokens: number[] | null, right: boolean) => ({
    ...{ prompt: 'Q', prompt_len: 2, target: '#### 45', generated_tokens: tokens, reasoning_trace: 'Q 45' },
    ...{ correct_answer: right, template_id: 7, instance_id: 1 },
  });
  const write = (name: string, records: object[]) => {
    const file = path.join(root, name);
    fs.writeFileSync(file, JSON.stringify(records));
    return file;
  };
  const answer = demo.encode(' 36 + 9 = 45 boxes.', { addSpecialTokens: false });

  test('either file stands for both; verdicts are its own, and a sample that failed is left out', async () => {
    const greedy = write('run_greedy.json', [record([1, 2, 3], false), record([1, 2, 4], true)]);
    const sampled = write('run_non_greedy.json', [record([1, 2, ...answer], true), record(null, false)]);
    const traces = await readAnyTraces(model, sampled);
    expect(traces.map(({ id, correct }) => [id, correct])).toEqual([
      ['reference-1/greedy', false],
      ['reference-2/greedy', true],
      ['reference-1/sample', true],
    ]);
    expect(traces[2]).toMatchObject({
      ...{ problem_id: 'reference-1', template_id: '7', instance_id: '1', target: 45 },
      ...{ prompt_ids: [1, 2], completion_ids: answer, answer: 45, decoding: { strategy: 'sample' } },
    });
    expect(await readAnyTraces(model, greedy)).toEqual(traces);
  });

  test('two files that do not correspond, one alone, and another name are refused', async () => {
    const short = write('odd_greedy.json', [record([1, 2, 3], false)]);
    await expect(readAnyTraces(model, short)).rejects.toThrow(/odd_non_greedy\.json: no such file/);
    write('odd_non_greedy.json', [record([1, 2, 3], true), record(null, false)]);
    await expect(readAnyTraces(model, short)).rejects.toThrow(/has 2 records where .* has 1/);
    const other = write('traces.json', [record([1, 2, 3], true)]);
    await expect(readAnyTraces(model, other)).rejects.toThrow(/traces\.json: is neither JSONL nor called/);
  });
});
