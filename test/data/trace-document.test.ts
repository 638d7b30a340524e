import { describe, expect, test } from 'vitest';
import type { Pair, Trace } from '../../server/data/records.ts';
import { quoteToken } from '../../server/data/token-display.ts';
import { parseTraceDocument, parseTraceDocumentStrictly } from '../../server/data/trace-document.ts';
import { documentPairs } from '../../server/data/trace-pairs.ts';
import { printTraceDocument, traceIds } from '../../server/data/trace-print.ts';
import { InputError } from '../../server/errors.ts';
import { Rng } from '../../server/random.ts';
import { demo, families, hostileText, pairAt, sample, traceOf } from '../language/sample.ts';

const tokenizers = [['demo', demo] as const, ...families()];

describe.each(tokenizers)('%s: a printed trace comes back', (name, tokenizer) => {
  test('every field, pivot and byte, for random traces of hostile texts', () => {
    const rng = new Rng(name);
    for (let round = 0; round < 40; round++) {
      const word = () => hostileText(rng, 1 + rng.int(3)).trim() || 'x';
      const trace = traceOf(tokenizer, `Q${hostileText(rng, 4)}`, hostileText(rng, rng.int(12)), {
        id: word(),
        problem_id: word(),
        target: [27, -0.5, 1e21, 1234567.875][round % 4]!,
        truncated: round % 2 === 0,
        ...(round % 3 === 0 && { template_id: word(), instance_id: word(), split: 'train' as const }),
        decoding:
          round % 2 === 0
            ? { strategy: 'greedy' }
            : { strategy: 'sample', temperature: 0.8, top_p: 1, seed: 17, endpoint: word() },
      });
      const pairs: Pair[] = trace.completion_ids
        .map((_, at) => at)
        .filter(() => rng.int(4) === 0)
        .map((at, i) =>
          pairAt(trace, at, trace.completion_ids[at] === 3 ? 4 : 3, {
            id: `pair ${i}`,
            method: (['prefix', 'branching', 'human', 'imported'] as const)[i % 4]!,
            status: (['auto', 'accepted', 'edited', 'rejected'] as const)[(i + round) % 4]!,
          }),
        );
      const text = printTraceDocument(trace, pairs, tokenizer, { model: '../m', run: '..' });
      const document = parseTraceDocument(text);
      expect(document.faults).toEqual([]);
      expect(document).toMatchObject({
        id: trace.id,
        problem: trace.problem_id,
        template: trace.template_id ?? null,
        instance: trace.instance_id ?? null,
        split: trace.split ?? null,
        target: trace.target,
        answer: trace.answer,
        correct: trace.correct,
        truncated: trace.truncated,
        decoding: trace.decoding,
        model: '../m',
        run: '..',
        excluded: false,
        promptIds: trace.prompt_ids,
        completionIds: trace.completion_ids,
      });
      expect(text.slice(document.bodyStart)).toBe(tokenizer.decode(traceIds(trace)));
      const back = documentPairs(parseTraceDocumentStrictly('x.trace', text));
      expect(
        back.map(({ prefix, desired, undesired, method, status }) => [
          prefix,
          desired,
          undesired,
          method,
          status,
        ]),
      ).toEqual(
        pairs
          .filter(({ status }) => status !== 'rejected')
          .map(({ prefix, desired, undesired, method, status }) => [
            prefix,
            desired,
            undesired,
            method,
            status,
          ]),
      );
      expect(new Set(back.map(({ id }) => id)).size).toBe(back.length);
    }
  });
});

test('the document of a trace, line by line', () => {
  const { text } = sample({ template_id: 'boxes-gift', instance_id: '0', split: 'train' });
  expect(text).toMatchInlineSnapshot(`
    "---
    trace: 1
    id: train-17/sample-0
    problem: train-17
    template: boxes-gift
    instance: 0
    split: train
    target: 27
    answer: 45
    correct: false
    truncated: false
    decoding: greedy
    model: ../../../media/demo/model
    run: ..
    pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"
    prompt_ids: 85 112 110 723 303 55 617 47 407 714 309 617 935 33 66 111 111 47 411 783 617 668 33 85 112 110 726 763 64 11 285 59
    completion_ids: 303 55 297 309 310 304 54 617 47 11 288 586 743 304 54 47
    ---
    Tom has 36 boxes. He gives 9 boxes to Ann. How many boxes does Tom have left?
    Solution: 36 + 9 = 45 boxes.
    The answer is 45."
  `);
});

test('a saved document with CRLF says the same', () => {
  const { text } = sample();
  const unix = parseTraceDocument(text);
  const windows = parseTraceDocument(text.replaceAll('\n', '\r\n'));
  expect(windows.faults).toEqual([]);
  expect(windows.eol).toBe('\r\n');
  const { id, pivots, promptIds, completionIds, target, answer } = unix;
  expect(windows).toMatchObject({ id, promptIds, completionIds, target, answer });
  expect(windows.pivots.map(({ at, ...pivot }) => pivot)).toEqual(pivots.map(({ at, ...pivot }) => pivot));
  expect(windows.text.slice(windows.bodyStart)).toBe(text.slice(unix.bodyStart).replaceAll('\n', '\r\n'));
});

test('a byte order mark, unknown keys, comments and blank lines are no faults', () => {
  const { text, pair } = sample();
  const odd = `\uFEFF${text.replace('target:', '# a note\n\nreviewer : Ann\nreviewer: Bo\ntarget  :')}`;
  const document = parseTraceDocumentStrictly('x.trace', odd);
  expect(document.target).toBe(27);
  expect(documentPairs(document)[0]!.prefix).toEqual(pair.prefix);
});

describe('faults name the line and the remedy', () => {
  const { text, trace, token } = sample();
  const total = traceIds(trace).length;
  const line = (of: string) => text.split('\n').findIndex((one) => one.startsWith(of)) + 1;
  const pivot = text.split('\n').find((one) => one.startsWith('pivot:'))!;
  const cases: [string, string, number, RegExp][] = [
    ['not a document', 'hello\nworld', 1, /does not start with a line ---/],
    ['an empty file', '', 1, /does not start with a line ---/],
    [
      'no closing line',
      text.replace(/\n---\n/, '\n'),
      line('completion_ids'),
      /no line --- closes the header/,
    ],
    ['a broken line', text.replace('problem:', 'problem'), line('problem'), /is no line of a header/],
    ['another format', text.replace('trace: 1', 'trace: 2'), 2, /"trace" is format 2.*Give 1/],
    [
      'no id',
      text.replace(/id: .*\n/, ''),
      text.slice(0, text.indexOf('\n---')).split('\n').length,
      /lacks "id"/,
    ],
    [
      'a key twice',
      text.replace('target: 27', 'target: 27\ntarget: 28'),
      line('target') + 1,
      /stands in line/,
    ],
    [
      'no number',
      text.replace('target: 27', 'target: many'),
      line('target'),
      /"target" is "many". Give a number/,
    ],
    [
      'no boolean',
      text.replace('truncated: false', 'truncated: no'),
      line('truncated'),
      /Give true or false/,
    ],
    ['an odd split', text.replace('target:', 'split: dev\ntarget:'), line('target'), /train, val, test/],
    ['odd decoding', text.replace('greedy', 'beam'), line('decoding'), /Give one of greedy, sample/],
    [
      'odd settings',
      text.replace('greedy', 'sample seed=x'),
      line('decoding'),
      /has "seed=x". Give a number/,
    ],
    ['open quotes', text.replace('train-17\n', '"train\n'), line('problem'), /is no valid JSON string/],
    [
      'a broken id',
      text.replace('completion_ids: ', 'completion_ids: 7x '),
      line('completion_ids'),
      /has "7x"/,
    ],
    ['no prompt', text.replace(/prompt_ids: .*/, 'prompt_ids:'), line('prompt_ids'), /has no ids/],
    [
      'a pivot in the prompt',
      text.replace(`token=${token}`, 'token=1'),
      line('pivot'),
      /token 1 is in the prompt/,
    ],
    [
      'a pivot past the end',
      text.replace(`token=${token}`, `token=${total}`),
      line('pivot'),
      /is past the end/,
    ],
    ['a pivot twice', text.replace(pivot, `${pivot}\n${pivot}`), line('pivot') + 1, /stands in line/],
    [
      'a pivot of one token',
      text.replace(/undesired=\d+ desired=\d+/, 'undesired=5 desired=5'),
      line('pivot'),
      /both sides/,
    ],
    ['a pivot without a part', text.replace(/ status=auto/, ''), line('pivot'), /lacks status/],
    [
      'an odd status',
      text.replace('status=auto', 'status=fine'),
      line('pivot'),
      /auto, accepted, edited, rejected/,
    ],
    [
      'a part twice',
      text.replace('status=auto', 'status=auto status=auto'),
      line('pivot'),
      /gives status twice/,
    ],
    ['a stray word', text.replace('status=auto', 'status=auto fine'), line('pivot'), /name=value/],
    [
      'an unknown token',
      text.replace(/ desired=\d+/, ' desired=999999'),
      line('pivot'),
      /has no token 999999/,
    ],
    [
      'an id past the vocabulary',
      text.replace('completion_ids: ', 'completion_ids: 99999 '),
      line('completion_ids'),
      /0 \.\. 1023/,
    ],
  ];
  test.each(cases)('%s', (_, broken, at, message) => {
    const options = { vocab: 1024 };
    const { faults } = parseTraceDocument(broken, options);
    const [first] = faults;
    expect(first).toMatchObject({ line: at });
    expect(`${first!.what}. ${first!.remedy}`).toMatch(message);
    expect(first!.end).toBeGreaterThanOrEqual(first!.start);
    expect(broken.slice(0, first!.start).split('\n').length).toBe(at);
    const strict = () => parseTraceDocumentStrictly('runs/x.trace', broken, options);
    expect(strict).toThrow(InputError);
    expect(strict).toThrow(`runs/x.trace:${at}: `);
  });

  test('any text at all is read without throwing', () => {
    const rng = new Rng('mutations');
    for (let round = 0; round < 500; round++) {
      const cut = rng.int(text.length);
      const mutated = text.slice(0, cut) + hostileText(rng, 2) + text.slice(cut + rng.int(30));
      const document = parseTraceDocument(mutated);
      for (const fault of document.faults) {
        expect(fault.start).toBeLessThanOrEqual(fault.end);
        expect(fault.end).toBeLessThanOrEqual(mutated.length);
      }
    }
  });
});

test('tokens are shown on one line with every odd character to be seen', () => {
  const shown = [
    ' 3',
    '\n',
    '\t"',
    '\u200b',
    '\ud83d',
    '\u0000\u001b',
    '\u2028',
    '\u00a0',
    '\\xF0',
    '😀',
    '👩‍👧',
    '數',
    '\u202e',
    ' \\frac',
    '\\neq',
  ];
  expect(shown.map(quoteToken)).toEqual([
    '" 3"',
    '"\\n"',
    '"\\t\\""',
    '"\\u{200B}"',
    '"\\u{D83D}"',
    '"\\x00\\x1B"',
    '"\\u{2028}"',
    '"\\xA0"',
    '"\\xF0"',
    '"😀"',
    '"👩‍👧"',
    '"數"',
    '"\\u{202E}"',
    '" \\frac"',
    '"\\\\neq"',
  ]);
});

test('pairs that are not of the trace, and repeated ones, are not printed', () => {
  const { trace, pair } = sample();
  const foreign = { ...pair, prefix: [...pair.prefix.slice(0, -1), 1] };
  const whole = { ...pair, prefix: traceIds(trace as Trace) };
  const document = parseTraceDocument(printTraceDocument(trace, [pair, foreign, whole, pair], demo));
  expect(document.pivots).toHaveLength(1);
});
