import { describe, expect, test } from 'vitest';
import type { Hover } from 'vscode-languageserver-types';
import { parseTraceDocument } from '../../server/data/trace-document.ts';
import { printTraceDocument } from '../../server/data/trace-print.ts';
import { codeActions } from '../../server/language/actions.ts';
import { diagnostics } from '../../server/language/diagnostics.ts';
import { headerCompletion } from '../../server/language/header.ts';
import { inlayHints } from '../../server/language/hints.ts';
import { hover, type ModelFacts, noFacts, pivotUnder } from '../../server/language/hover.ts';
import { codeLenses } from '../../server/language/lenses.ts';
import type { OpenTrace } from '../../server/language/open-trace.ts';
import { documentSymbols, foldingRanges } from '../../server/language/outline.ts';
import type { Range } from '../../server/protocol/message.ts';
import { Rng } from '../../server/random.ts';
import { demo, families, hostileText, opened, pairAt, sample, traceOf } from './sample.ts';

const { text, token, plus, minus, trace } = sample();
const open = opened(text);

/** The range of the last place where a text stands. */
function place(of: OpenTrace, words: string): Range {
  const start = of.text.lastIndexOf(words);
  if (start < 0) throw new Error(`no ${words}`);
  return of.range({ start, end: start + words.length });
}
const markdown = (shown: Hover | null) => (shown!.contents as { value: string }).value;

const times = demo.encode(' *', { addSpecialTokens: false })[0]!;
const facts: ModelFacts = {
  score: (index) => ({
    ...open.tokenRange(index),
    logprob: Math.log(0.123456),
    rank: 2,
    entropy: 0.8123,
    top: [
      { id: minus, text: ' -', logprob: Math.log(0.8) },
      { id: plus, text: ' +', logprob: Math.log(0.123456) },
      { id: times, text: ' *', logprob: -20 },
    ],
  }),
  branches: () => [
    {
      role: 'desired',
      token: { id: minus, text: ' -' },
      text: ' - 9 = 27 boxes.\nThe answer is 27.',
      answer: 27,
      correct: true,
      truncated: false,
    },
    {
      role: 'undesired',
      token: { id: plus, text: ' +' },
      text: ' + ```',
      answer: null,
      correct: null,
      truncated: true,
    },
  ],
};

describe('hover', () => {
  test('a token before it is scored', () => {
    const shown = hover(open, place(open, 'boxes').start);
    expect(shown!.range).toEqual(place(open, ' boxes'));
    expect(markdown(shown)).toMatchInlineSnapshot(`"**\`" boxes"\`** id 617, token 39 of 48, completion"`);
  });

  test('a pivot whose branches are being completed says so', () => {
    const pending = { ...facts, branches: () => 'pending' as const };
    expect(markdown(hover(open, place(open, '+').start, pending))).toMatch(
      /\*\*Pivot\*\*: .*\n\n\*Completing from both tokens: hover again in a moment\.\*$/,
    );
    expect(pivotUnder(open, place(open, '+').start)).toBe(34);
    expect(pivotUnder(open, place(open, 'pivot:').start)).toBe(34);
    expect(pivotUnder(open, place(open, 'boxes').start)).toBeNull();
  });

  test('a scored pivot with its branches', () => {
    expect(markdown(hover(open, place(open, '+').start, facts))).toMatchInlineSnapshot(`
      "**\`" +"\`** id 297, token 34 of 48, completion

      probability 12.3% · rank 2 · surprisal 2.09 nats · entropy 0.81 nats

      | | token | id | probability |
      |--:|:--|--:|--:|
      | 1 | \`" -"\` | 298 | 80% |
      | 2 | \`" +"\` ← | 297 | 12.3% |
      | 3 | \`" *"\` | 296 | 2.1e-7% |

      ---

      **Pivot**: \`" -"\` (298) desired over \`" +"\` (297); located by branching, not reviewed

      After \`" -"\` (desired): answer 27, right
      \`\`\`text
       - 9 = 27 boxes.
      The answer is 27.
      \`\`\`

      After \`" +"\` (undesired): no answer, cut at the token limit
      \`\`\`\`text
       + \`\`\`
      \`\`\`\`"
    `);
  });

  test('the first token has no prediction, a rank of one is greedy', () => {
    const score = facts.score(token)!;
    const first = {
      ...facts,
      score: () => ({ ...score, logprob: null, rank: null, entropy: null, top: [] }),
    };
    expect(markdown(hover(open, place(open, ' 45').start, first))).not.toContain('probability');
    const greedy = { ...facts, score: () => ({ ...score, logprob: 0, rank: 1, entropy: 0, top: [] }) };
    expect(markdown(hover(open, place(open, ' 45').start, greedy))).toContain(
      'probability 100% · rank 1 (greedy) · surprisal 0.0000 nats · entropy 0.0000 nats',
    );
  });

  test('a key of the header, and a pivot there', () => {
    expect(markdown(hover(open, place(open, 'target:').start))).toBe('**target**: The right answer.');
    const line = markdown(hover(open, place(open, 'pivot:').start, facts));
    expect(line).toContain('**Pivot**: `" -"`');
    expect(line).toContain('answer 27, right');
  });

  test('nothing between the two, without a tokenizer, and on a changed text', () => {
    expect(hover(open, { line: 0, character: 1 })).toBeNull();
    expect(hover(opened(text, null), place(open, '+').start)).toBeNull();
    expect(hover(opened(`${text} more`), place(open, '+').start)).toBeNull();
  });

  test('tokens that would break Markdown are shown as they are', () => {
    const byteLevel = families().get('qwen 2')!;
    const completion = '`` | "\n\\x<b>*_\u0000😀';
    const odd = opened(printTraceDocument(traceOf(byteLevel, 'Q', completion), [], byteLevel), byteLevel);
    const heads = odd
      .tokenRanges()
      .map(({ range }) => markdown(hover(odd, range.start)).split('\n')[0]!)
      .join('\n');
    expect(heads).toMatchInlineSnapshot(`
      "**\`"Q"\`** id 50, token 0 of 20, prompt
      **\`\`"\`"\`\`** id 65, token 1 of 20, completion
      **\`\`"\`"\`\`** id 65, token 2 of 20, completion
      **\`" "\`** id 222, token 3 of 20, completion
      **\`"|"\`** id 93, token 4 of 20, completion
      **\`" "\`** id 222, token 5 of 20, completion
      **\`"\\""\`** id 3, token 6 of 20, completion
      **\`"\\n"\`** id 200, token 7 of 20, completion
      **\`"\\"\`** id 61, token 8 of 20, completion
      **\`"x"\`** id 89, token 9 of 20, completion
      **\`"<"\`** id 29, token 10 of 20, completion
      **\`"b"\`** id 67, token 11 of 20, completion
      **\`">"\`** id 31, token 12 of 20, completion
      **\`"*"\`** id 11, token 13 of 20, completion
      **\`"_"\`** id 64, token 14 of 20, completion
      **\`"\\x00"\`** id 190, token 15 of 20, completion
      **\`"\\x80"\`** id 224, token 19 of 20, completion
      **\`"\\x80"\`** id 224, token 19 of 20, completion
      **\`"\\x80"\`** id 224, token 19 of 20, completion
      **\`"\\x80"\`** id 224, token 19 of 20, completion"
    `);
    const top = ['|', '\\|', '``', '\n', '\ud800', '\u202e'].map((one, id) => ({
      id,
      text: one,
      logprob: -1,
    }));
    const score = { ...odd.tokenRange(2), logprob: -1, rank: 1, entropy: 1, generated: true, top };
    const rows = markdown(hover(odd, odd.tokenRange(2).range.start, { ...noFacts, score: () => score }));
    expect(rows.split('\n').slice(-6)).toMatchInlineSnapshot(`
      [
        "| 1 | \`"\\|"\` | 0 | 36.8% |",
        "| 2 | \`"\\x7C"\` | 1 | 36.8% |",
        "| 3 | \`\`\`"\`\`"\`\`\` | 2 | 36.8% |",
        "| 4 | \`"\\n"\` | 3 | 36.8% |",
        "| 5 | \`"\\u{D800}"\` | 4 | 36.8% |",
        "| 6 | \`"\\u{202E}"\` | 5 | 36.8% |",
      ]
    `);
  });

  test('a character of several tokens names them', () => {
    const byteLevel = families().get('qwen 2')!;
    const odd = opened(printTraceDocument(traceOf(byteLevel, 'Q', 'a😀'), [], byteLevel), byteLevel);
    expect(markdown(hover(odd, place(odd, '😀').start))).toContain('The character is shared with `"\\xF0"`');
  });
});

test('lenses: one above the header, and those of a pivot at its token', () => {
  const lenses = codeLenses(open);
  expect(lenses[0]!.range.start).toEqual({ line: 0, character: 0 });
  for (const lens of lenses.slice(1)) expect(lens.range).toEqual(place(open, ' +'));
  expect(
    lenses.map(({ command }) => [command!.title, command!.command, command!.arguments]),
  ).toMatchInlineSnapshot(`
    [
      [
        "exclude from training",
        "circuitAmplifier.trace.exclude",
        [
          {
            "excluded": true,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "$(question) " +" → " -": show branches",
        "circuitAmplifier.pivot.branches",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "accept",
        "circuitAmplifier.pivot.accept",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "reject",
        "circuitAmplifier.pivot.reject",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "move",
        "circuitAmplifier.pivot.move",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "swap",
        "circuitAmplifier.pivot.swap",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
      [
        "desired token…",
        "circuitAmplifier.pivot.desired",
        [
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ],
    ]
  `);
});

test('lenses follow status, exclusion, and a text without tokens', () => {
  const titles = (of: OpenTrace) => codeLenses(of).map(({ command }) => command!.title);
  expect(titles(opened(text.replace('status=auto', 'status=accepted')))).toMatchInlineSnapshot(`
    [
      "exclude from training",
      "$(check) " +" → " -": show branches",
      "reject",
      "move",
      "swap",
      "desired token…",
    ]
  `);
  expect(titles(opened(text.replace('status=auto', 'status=rejected')))).toMatchInlineSnapshot(`
    [
      "exclude from training",
      "$(x) " +" → " -": show branches",
      "accept",
      "remove",
    ]
  `);
  expect(titles(opened(text.replace('pivot:', 'excluded: true\npivot:')))[0]).toMatchInlineSnapshot(
    `"$(circle-slash) excluded from training: include"`,
  );
  // Answers that follow, where they are known.
  expect(codeLenses(open, facts)[1]!.command!.title).toBe(
    '$(question) " +" → " -": " +" gives no end, " -" gives 27 ✓: show branches',
  );
  expect(codeLenses(open, { ...facts, branches: () => 'pending' })[1]!.command!.title).toBe(
    '$(question) " +" → " -": show branches',
  );
  const bare = opened(text, null);
  expect(codeLenses(bare)[1]!.range.start.line).toBe(place(open, 'pivot:').start.line);
  expect(titles(bare)[1]).toBe(`$(question) #${plus} → #${minus}: show branches`);
  expect(codeLenses(opened('hello'))).toEqual([]);
});

describe('code actions', () => {
  const shown = (of: OpenTrace, range: Range, from = noFacts) =>
    codeActions(of, range, from).map(({ title, command }) => [title, command?.arguments?.[0]]);

  test('on a token of the completion', () => {
    expect(shown(open, place(open, ' 45'), facts)).toMatchInlineSnapshot(`
      [
        [
          "Mark " 4" as a pivot: prefer " -" (80%)",
          {
            "desired": 298,
            "token": 45,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Mark " 4" as a pivot: prefer " +" (12.3%)",
          {
            "desired": 297,
            "token": 45,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Mark " 4" as a pivot: prefer " *" (2.1e-7%)",
          {
            "desired": 296,
            "token": 45,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Mark " 4" as a pivot…",
          {
            "token": 45,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Exclude this trace from training",
          {
            "excluded": true,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ]
    `);
    expect(shown(open, place(open, ' 45'))).toHaveLength(2);
  });

  test('on a pivot, at its token and in the header alike', () => {
    const actions = shown(open, place(open, ' +'), facts);
    expect(actions).toMatchInlineSnapshot(`
      [
        [
          "Accept the pivot " +" → " -"",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Reject the pivot " +" → " -"",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Set the desired token to " *" (2.1e-7%)",
          {
            "desired": 296,
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Set the desired token…",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Swap desired and undesired token",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Move the pivot…",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Remove the pivot " +" → " -"",
          {
            "token": 34,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
        [
          "Exclude this trace from training",
          {
            "excluded": true,
            "uri": "file:///runs/first/documents/one.trace",
          },
        ],
      ]
    `);
    expect(shown(open, place(open, 'pivot:'), facts)).toEqual(actions);
  });

  test('on the prompt and the header: only the trace', () => {
    for (const words of ['Ann', 'target']) {
      expect(shown(open, place(open, words), facts).map(([title]) => title)).toEqual([
        'Exclude this trace from training',
      ]);
    }
  });

  const applied = (of: OpenTrace, range: Range, title: string) => {
    const action = codeActions(of, range).find((one) => one.title === title)!;
    const [change] = action.edit!.documentChanges as { edits: { range: Range; newText: string }[] }[];
    const [{ range: where, newText }] = change!.edits as [{ range: Range; newText: string }];
    return of.text.slice(0, of.offsetAt(where.start)) + newText + of.text.slice(of.offsetAt(where.end));
  };

  test('a broken pivot line goes', () => {
    const broken = opened(text.replace(`token=${token}`, 'token=999'));
    const mended = applied(broken, place(broken, 'pivot:'), 'Remove this pivot line');
    expect(parseTraceDocument(mended)).toMatchObject({ faults: [], pivots: [] });
  });

  test.each(['\n', '\r\n'])('a changed text is written anew, with line ends %j', (eol) => {
    const whole = text.replaceAll('\n', eol);
    for (const changed of [
      whole.replace('The answer', 'My answer'),
      whole.slice(0, -9),
      `${whole} More`,
      whole.replace('36 + 9', '36 - 9'),
      whole.replace('Tom', ''),
    ]) {
      const odd = opened(changed);
      const end = odd.range({ start: changed.length, end: changed.length });
      expect(applied(odd, end, 'Write the text anew from its tokens')).toBe(whole);
    }
  });
});

describe('inlay hints', () => {
  test('the desired token beside the undesired one, within a range', () => {
    expect(inlayHints(open)).toMatchObject([{ label: '→ " -"', position: place(open, ' +').end }]);
    expect(inlayHints(open, place(open, ' 36 + 9'))).toHaveLength(1);
    expect(inlayHints(open, place(open, 'The answer'))).toEqual([]);
    expect(inlayHints(opened(text.replace('status=auto', 'status=rejected')))).toEqual([]);
    expect(inlayHints(opened(text, null))).toEqual([]);
  });

  test('a right trace: what it avoided', () => {
    const own = pairAt(trace, token - trace.prompt_ids.length, plus, { undesired: times });
    const right = opened(printTraceDocument(trace, [own], demo));
    expect(inlayHints(right)).toMatchObject([{ label: '✗ " *"' }]);
  });
});

describe('diagnostics', () => {
  const found = (of: OpenTrace, modelProblem: string | null = null) =>
    diagnostics(of, { modelProblem }).map(({ code, severity, message, range }) => ({
      code,
      severity,
      message,
      at: of.text.slice(of.offsetAt(range.start), of.offsetAt(range.end)),
    }));

  test('a wrong answer, at the answer', () => {
    expect(found(open)).toMatchInlineSnapshot(`
      [
        {
          "at": "45",
          "code": "wrong-answer",
          "message": "The answer is 45; the target is 27.",
          "severity": 2,
        },
      ]
    `);
  });

  test('a right one: nothing', () => {
    expect(found(opened(sample({ target: 45 }).text))).toEqual([]);
  });

  test('no answer, and cut at the limit', () => {
    const none = traceOf(demo, 'Q', ' He has\nnone of them', { truncated: true });
    expect(found(opened(printTraceDocument(none, [], demo)))).toMatchInlineSnapshot(`
      [
        {
          "at": "none of them",
          "code": "truncated",
          "message": "The completion was cut at the token limit. Generate with a higher limit.",
          "severity": 2,
        },
        {
          "at": "none of them",
          "code": "no-answer",
          "message": "The completion has no number; the target is 27.",
          "severity": 2,
        },
      ]
    `);
  });

  test('a broken header, each fault with its remedy at its place', () => {
    const broken = text
      .replace('target: 27', 'target: many')
      .replace(`token=${token}`, `token=${token + 900}`);
    expect(found(opened(broken)).slice(0, 2)).toMatchInlineSnapshot(`
      [
        {
          "at": "many",
          "code": "header",
          "message": ""target" is "many". Give a number.",
          "severity": 1,
        },
        {
          "at": "pivot: token=934 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
          "code": "header",
          "message": "The pivot's token 934 is past the end. Give a token of the completion, 32 .. 47.",
          "severity": 1,
        },
      ]
    `);
  });

  test('a changed text, where it changes', () => {
    const [changed] = found(opened(text.replace('36 + 9', '36 plus 9')));
    expect(changed).toMatchInlineSnapshot(`
      {
        "at": "plus 9 = 45 boxes.",
        "code": "edited-text",
        "message": "The text was changed: from token 34 on the tokens say "+ 9 = 45 boxes.\\nThe answ", the text has "plus 9 = 45 boxes.\\nThe a". Token ids are what is trained on; undo the change, or write the text anew from its tokens.",
        "severity": 2,
      }
    `);
    expect(found(opened(`${text} More`))[0]).toMatchObject({ code: 'edited-text', at: ' More' });
  });

  test('a pivot whose token is not the trace’s, and tokens that there are not', () => {
    const moved = opened(text.replace(`token=${token}`, `token=${token + 1}`));
    expect(found(moved)[0]).toMatchObject({ code: 'pivot', severity: 3 });
    const unknown = opened(text.replace(/ desired=\d+/, ' desired=888888'));
    expect(found(unknown)[0]).toMatchObject({ code: 'unknown-token', severity: 1 });
  });

  test('a model that cannot be read, at its line', () => {
    const message = '/models/one: no such folder. Name the model folder.';
    expect(found(open, message)[0]).toEqual({
      code: 'model',
      severity: 2,
      message,
      at: 'model: ../../../media/demo/model',
    });
    expect(found(opened(text, null)).map(({ code }) => code)).toEqual(['wrong-answer']);
  });
});

describe('outline', () => {
  test('problem, steps by sentence and line, answer', () => {
    const tree = documentSymbols(open).map(({ name, detail, range, children }) => ({
      name,
      detail,
      lines: [range.start.line, range.end.line],
      ...(children && { children: children.map((child) => child.name) }),
    }));
    expect(tree).toMatchInlineSnapshot(`
      [
        {
          "detail": "Tom has 36 boxes. He gives 9 boxes to Ann. How many boxes does Tom have left?",
          "lines": [
            15,
            16,
          ],
          "name": "Problem train-17",
        },
        {
          "children": [
            "36 + 9 = 45 boxes.",
            "The answer is 45.",
          ],
          "detail": "2 steps",
          "lines": [
            16,
            17,
          ],
          "name": "Completion",
        },
        {
          "detail": "wrong, target 27",
          "lines": [
            17,
            17,
          ],
          "name": "Answer 45",
        },
      ]
    `);
  });

  test('children and selections lie within their parents, for any text', () => {
    const odd = traceOf(demo, 'Q', '\n\n  3.5 is it. Then 4!\r\n\n答えは5。次。\n');
    const symbols = documentSymbols(opened(printTraceDocument(odd, [], demo)));
    expect(symbols[1]!.children!.map(({ name }) => name)).toEqual([
      '3.5 is it.',
      'Then 4!',
      '答えは5。',
      '次。',
    ]);
    const notAfter = (a: Range['start'], b: Range['start']) =>
      a.line < b.line || (a.line === b.line && a.character <= b.character);
    for (const symbol of symbols) {
      for (const child of symbol.children ?? []) {
        expect(notAfter(symbol.range.start, child.range.start)).toBe(true);
        expect(notAfter(child.range.end, symbol.range.end)).toBe(true);
      }
    }
  });

  test('folds: header, ids, a prompt of several lines', () => {
    const line = (words: string) => place(open, words).start.line;
    expect(foldingRanges(open)).toEqual([
      {
        startLine: 0,
        endLine: line('\n---\nTom') + 1,
        kind: 'region',
        collapsedText: '--- train-17/sample-0',
      },
      { startLine: line('prompt_ids'), endLine: line('completion_ids'), kind: 'region' },
      { startLine: line('Tom has'), endLine: line('Solution:'), kind: 'region' },
    ]);
    expect(foldingRanges(opened('hello'))).toEqual([]);
  });
});

test('completion offers keys that are missing, and values', () => {
  const labels = (of: OpenTrace, at: Range['start']) => headerCompletion(of, at).map(({ label }) => label);
  const blank = opened(text.replace('target: 27', '\ntarget: 27'));
  expect(labels(blank, { line: place(blank, 'target').start.line - 1, character: 0 })).toEqual([
    'template',
    'instance',
    'split',
    'excluded',
    'pivot',
  ]);
  expect(labels(open, place(open, 'false\ndecoding').start)).toEqual(['true', 'false']);
  expect(labels(open, place(open, 'Tom').start)).toEqual([]);
});

test('a view without a tokenizer says what the header says', () => {
  const { tokens, pivots, prompt, completion, ...rest } = opened(text, null).view();
  expect(rest).toEqual({
    problem: 'train-17',
    template: null,
    target: 27,
    answer: 45,
    correct: false,
    excluded: false,
    model: '/media/demo/model',
    run: '/runs/first',
  });
  expect(tokens).toBeNull();
  expect(pivots).toMatchObject([{ token, desired: { id: minus, text: '' }, status: 'auto' }]);
  expect(prompt.start).toEqual(prompt.end);
  expect(completion.start).toEqual(prompt.start);
});

test('a view with tokens has the ranges of prompt, completion and pivots', () => {
  const view = open.view();
  expect(view.tokens).toBe(trace.prompt_ids.length + trace.completion_ids.length);
  expect(view.pivots[0]).toMatchObject({ range: place(open, ' +'), undesired: { id: plus, text: ' +' } });
  expect(view.prompt.end).toEqual(place(open, 'Solution:').end);
  expect(view.completion.end).toEqual(place(open, ' 45.').end);
  expect(opened(text, demo, 'untitled:one').view()).toMatchObject({ model: null, run: null });
});

test('whatever is typed into a document, everything is answered, and edits keep the text below the header', () => {
  const rng = new Rng('typing');
  const byteLevel = families().get('qwen 2')!;
  const hostile = traceOf(byteLevel, `Q ${hostileText(rng, 8)}`, hostileText(rng, 20));
  const start = printTraceDocument(hostile, [pairAt(hostile, 3, 5), pairAt(hostile, 5, 6)], byteLevel);
  const score = facts.score(token)!;
  const known = { ...facts, score: (index: number) => ({ ...score, index }) };
  let typed = start;
  for (let round = 0; round < 300; round++) {
    const cut = rng.int(typed.length);
    const next = typed.slice(0, cut) + hostileText(rng, rng.int(2)) + typed.slice(cut + rng.int(3));
    // Now and then undo all of it.
    typed = round % 10 === 0 ? start : next;
    const of = opened(typed, rng.int(5) === 0 ? null : byteLevel);
    const at = of.range({ start: rng.int(typed.length), end: typed.length });
    of.view();
    hover(of, at.start, known);
    codeActions(of, at, known);
    headerCompletion(of, at.start);
    for (const { range } of [
      ...diagnostics(of),
      ...codeLenses(of),
      ...documentSymbols(of),
      ...inlayHints(of).map(({ position }) => ({ range: { start: position, end: position } })),
    ]) {
      expect(of.offsetAt(range.start)).toBeLessThanOrEqual(of.offsetAt(range.end));
    }
    for (const { startLine, endLine } of foldingRanges(of)) expect(startLine).toBeLessThan(endLine);
    for (const pivot of of.placedPivots) {
      const edits = of.annotate({ edit: 'accept', token: pivot.token });
      for (const { range } of edits)
        expect(of.offsetAt(range.end)).toBeLessThanOrEqual(of.document.bodyStart);
    }
  }
});
