import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { collect, JsonlWriter } from '../../server/data/jsonl.ts';
import { readPairs } from '../../server/data/pairs.ts';
import {
  dpoRecord,
  makePivot,
  type Pivot,
  pairsFromPivots,
  readPivots,
  writeDpo,
} from '../../server/data/pts.ts';
import type { Pair, Trace } from '../../server/data/records.ts';
import { readLocalization, readReferenceTraces } from '../../server/data/reference.ts';
import { readTraces } from '../../server/data/traces.ts';
import { InputError } from '../../server/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'tokens-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const jsonl = (...records: object[]): string => {
  const path = join(folder, `${count++}.jsonl`);
  const writer = new JsonlWriter<object>(path);
  for (const record of records) writer.append(record);
  writer.close();
  return path;
};
const json = (value: unknown): string => {
  const path = join(folder, `${count++}.json`);
  writeFileSync(path, JSON.stringify(value));
  return path;
};
/** A token is a UTF-16 unit, so that a token can be a part of a character. */
const encode = (text: string) => [...Array(text.length).keys()].map((i) => text.charCodeAt(i));
const decode = (ids: number[]) => new TextDecoder('utf-16le').decode(Uint16Array.from(ids));

const trace: Trace = {
  id: 't1',
  problem_id: 'p1',
  template_id: '7',
  instance_id: '0',
  split: 'train',
  target: 5,
  prompt_ids: [1, 2, 3],
  completion_ids: [4, 9],
  decoding: { strategy: 'sample', temperature: 0.8, top_p: 0.95, seed: 3 },
  text: ' 5.',
  answer: 5,
  correct: true,
  truncated: false,
  note: { kept: true },
};
const pair: Pair = {
  id: 'a',
  prefix: [1, 2],
  desired: 3,
  undesired: 4,
  problem_id: 'p1',
  template_id: '7',
  instance_id: '0',
  split: 'val',
  method: 'branching',
  trace: 't1',
  status: 'edited',
  editor: 'kept',
};

const refuses = async (
  read: (path: string) => AsyncIterable<unknown>,
  good: object,
  change: object,
  message: string,
) => {
  const path = jsonl(good, { ...good, id: 'other', ...change });
  const error = await collect(read(path)).catch((e) => e);
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toContain(`${path}:2`);
  expect(error.message).toContain(message);
};

describe('readTraces', () => {
  it('reads back what was written, unknown fields too', async () => {
    const wrong: Trace = { ...trace, id: 't2', answer: null, correct: false, completion_ids: [] };
    expect(await collect(readTraces(jsonl(trace, wrong), { vocab: 10 }))).toEqual([trace, wrong]);
  });

  it.each([
    [
      'an id past the vocabulary',
      { completion_ids: [4, 10] },
      'field "completion_ids[1]" is 10. Give token ids in 0 .. 9.',
    ],
    ['a negative id', { prompt_ids: [-1] }, 'field "prompt_ids[0]" is -1'],
    ['a fractional id', { prompt_ids: [0.5] }, 'field "prompt_ids[0]" is 0.5'],
    ['ids as text', { prompt_ids: '1 2' }, 'field "prompt_ids" is a string'],
    ['no prompt', { prompt_ids: [] }, 'field "prompt_ids" is an empty array'],
    ['no target', { target: null }, 'field "target" is missing'],
    ['an answer that is text', { answer: '5' }, 'field "answer" is a string'],
    ['no correctness', { correct: 'yes' }, 'field "correct" is a string'],
    ['an unknown strategy', { decoding: { strategy: 'beam' } }, '(decoding): field "strategy" is "beam"'],
    ['sampling without temperature', { decoding: { strategy: 'sample' } }, 'field "temperature" is missing'],
    ['top_p of 0', { decoding: { strategy: 'greedy', top_p: 0 } }, 'field "top_p" is 0'],
    ['an unknown split', { split: 'x' }, 'field "split" is "x"'],
    ['an id that was there', { id: 't1' }, 'id "t1" stands at'],
  ])('refuses %s', (_, change, message) =>
    refuses((path) => readTraces(path, { vocab: 10 }), trace, change, message),
  );

  it('tells a missing answer from none', async () => {
    const { answer: _, ...rest } = trace;
    await expect(collect(readTraces(jsonl(rest)))).rejects.toThrow('field "answer" is missing');
  });
});

describe('readPairs', () => {
  it('reads back what was written, and fills in what others leave out', async () => {
    expect(await collect(readPairs(jsonl(pair)))).toEqual([pair]);
    expect(
      await collect(readPairs(jsonl({ prefix: [1], desired: 2, undesired: 0, template_id: 4 }))),
    ).toEqual([
      {
        id: 'pair-1',
        prefix: [1],
        desired: 2,
        undesired: 0,
        template_id: '4',
        method: 'imported',
        status: 'auto',
      },
    ]);
  });

  it.each([
    ['an empty prefix', { prefix: [] }, 'field "prefix" has no tokens'],
    ['a token past the vocabulary', { desired: 10 }, 'field "desired" is 10. Give an integer in 0 .. 9.'],
    ['the same token twice', { undesired: 3 }, 'field "undesired" is the desired token too (3)'],
    ['an unknown method', { method: 'guess' }, 'field "method" is "guess"'],
    ['an unknown status', { status: 'maybe' }, 'field "status" is "maybe"'],
    ['a token given as text', { desired: ' 3' }, 'field "desired" is a string'],
  ])('refuses %s', (_, change, message) =>
    refuses((path) => readPairs(path, { vocab: 10 }), pair, change, message),
  );
});

describe('files of the reference implementation', () => {
  const item = { prefix: 'ab', desired_token: 3, undesired_token: 4, template_id: 116, instance_id: 7 };

  it('reads localisations, encoding the prefixes', async () => {
    expect(await readLocalization(json([item]), encode, { vocab: 10 })).toEqual([
      {
        id: 'imported-1',
        prefix: [97, 98],
        desired: 3,
        undesired: 4,
        template_id: '116',
        instance_id: '7',
        method: 'imported',
        status: 'auto',
      },
    ]);
  });

  it.each([
    ['an object', {}, ': is not a JSON array'],
    ['an empty array', [], ': has no records'],
    ['an array of numbers', [1], '[0]: is not a JSON object'],
    [
      'a token past the vocabulary',
      [item, { ...item, desired_token: 10 }],
      '[1]: field "desired_token" is 10',
    ],
    ['an empty prefix', [{ ...item, prefix: '' }], '[0]: field "prefix" has no tokens'],
  ])('refuses %s', async (_, value, message) => {
    const path = json(value);
    await expect(readLocalization(path, encode, { vocab: 10 })).rejects.toThrow(path + message);
  });

  it('reads traces, splitting the tokens at the prompt; null where sampling failed', async () => {
    const record = {
      prompt: 'ab',
      prompt_len: 2,
      target: 'so\n#### 1,005',
      generated_tokens: [97, 98, 32, 53],
      reasoning_trace: 'ab 5',
      correct_answer: true,
      template_id: 1,
      instance_id: 2,
    };
    const failed = { ...record, generated_tokens: null, reasoning_trace: null, correct_answer: null };
    expect(await readReferenceTraces(json([record, failed]))).toEqual([
      {
        prompt: 'ab',
        prompt_ids: [97, 98],
        completion_ids: [32, 53],
        reasoning_trace: 'ab 5',
        target: 1005,
        correct: true,
        template_id: '1',
        instance_id: '2',
      },
      null,
    ]);
    await expect(readReferenceTraces(json([{ ...record, prompt_len: 5 }]))).rejects.toThrow(
      /\[0\]: field "prompt_len" is 5/,
    );
    await expect(readReferenceTraces(json([{ ...record, target: 'none' }]))).rejects.toThrow(
      /"target" has no number/,
    );
  });
});

describe('PTS pivots', () => {
  const pivot = (context: string, id: number, before: number, after: number, extra: object = {}): Pivot =>
    makePivot(
      {
        model_id: 'm',
        query: 'q',
        pivot_context: context,
        pivot_token: String.fromCharCode(id),
        pivot_token_id: id,
        prob_before: before,
        prob_after: after,
        task_type: 'math',
        dataset_id: 'd',
        dataset_item_id: 'i',
        ...extra,
      },
      new Date(2026, 0, 2, 3, 4, 5),
    );

  it('are read back as written, in the fields of PTS', async () => {
    const one = pivot('ab', 99, 0.25, 0.75);
    const path = jsonl(one, { ...one, dataset_id: null });
    expect(await collect(readPivots(path))).toEqual([one, { ...one, dataset_id: null }]);
    expect(JSON.parse(readFileSync(path, 'utf8').split('\n')[0]!)).toEqual({
      model_id: 'm',
      query: 'q',
      pivot_context: 'ab',
      pivot_token: 'c',
      pivot_token_id: 99,
      prob_before: 0.25,
      prob_after: 0.75,
      prob_delta: 0.5,
      is_positive: true,
      task_type: 'math',
      dataset_id: 'd',
      dataset_item_id: 'i',
      timestamp: '2026-01-02T03:04:05',
    });
    await expect(collect(readPivots(jsonl({ ...one, prob_after: 1.5 })))).rejects.toThrow(
      'field "prob_after" is 1.5',
    );
    await expect(collect(readPivots(path, { vocab: 99 }))).rejects.toThrow('field "pivot_token_id" is 99');
  });

  it('become pairs by their known other token, or by an opposite pivot after the same context', () => {
    const { pairs, unpaired } = pairsFromPivots(
      [
        pivot('ab', 10, 0.5, 0.9),
        pivot('ab', 11, 0.5, 0.6),
        pivot('ab', 12, 0.5, 0.1),
        pivot('cd', 13, 0.5, 0.9, { rejected_token: 'x', rejected_token_id: 14 }),
        pivot('ef', 15, 0.5, 0.1, { rejected_token: 'x', rejected_token_id: 16 }),
        pivot('gh', 17, 0.5, 0.9),
      ],
      encode,
    );
    const brief = pairs.map((p) => [decode(p.prefix), p.desired, p.undesired, p.problem_id, p.method]);
    expect(brief).toEqual([
      ['ab', 10, 12, 'i', 'imported'],
      ['cd', 13, 14, 'i', 'imported'],
      ['ef', 16, 15, 'i', 'imported'],
    ]);
    expect(unpaired).toBe(2);
    expect(new Set(pairs.map((p) => p.id)).size).toBe(3);
  });

  it('need a context', () => {
    const other = { rejected_token_id: 2 };
    expect(() => pairsFromPivots([pivot('', 1, 0.5, 0.9, other)], encode)).toThrow(InputError);
  });
});

describe('DPO export', () => {
  it('writes prompt, chosen, rejected and metadata, leaving out rejected pairs', () => {
    const path = join(folder, 'dpo.jsonl');
    const made: Pair = { ...pair, prefix: encode('ab'), desired: 99, undesired: 100 };
    const written = writeDpo(path, [made, { ...made, id: 'b', status: 'rejected' }], decode, { model: 'm' });
    expect(written).toBe(1);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      prompt: 'ab',
      chosen: 'c',
      rejected: 'd',
      metadata: {
        model: 'm',
        pair: 'a',
        problem_id: 'p1',
        template_id: '7',
        instance_id: '0',
        trace: 't1',
        method: 'branching',
        status: 'edited',
        prompt_ids: [97, 98],
        chosen_id: 99,
        rejected_id: 100,
      },
    });
    expect(() => writeDpo(join(path, 'x.jsonl'), [made], decode)).toThrow(InputError);
  });

  it('falls back to the token alone where the prefix ends inside a character', () => {
    const [high, low] = encode('😀') as [number, number];
    const record = dpoRecord(
      { ...pair, prefix: [...encode('ab'), high], desired: low, undesired: 99 },
      decode,
    );
    expect(record.prompt).toBe('ab\uFFFD');
    expect(record.chosen).toBe('\uFFFD');
    expect(record.rejected).toBe('c');
    expect(record.metadata).toMatchObject({ chosen_id: low, rejected_id: 99 });
  });
});
