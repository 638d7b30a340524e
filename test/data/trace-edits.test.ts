import { describe, expect, test } from 'vitest';
import { parseTraceDocument, type TraceDocument } from '../../server/data/trace-document.ts';
import * as edits from '../../server/data/trace-edits.ts';
import { traceIds } from '../../server/data/trace-print.ts';
import { InputError } from '../../server/errors.ts';
import { Rng } from '../../server/random.ts';
import { demo, sample } from '../language/sample.ts';

const { text, trace, token, plus, minus } = sample();
const ids = traceIds(trace);
const pivotLine = (of: string) => of.split(/\r?\n/).find((line) => line.startsWith('pivot:'));

/** Lines that an edit adds and takes away. */
function changed(before: string, after: string): string[] {
  const [a, b] = [before.split('\n'), after.split('\n')];
  return [
    ...a.filter((line) => !b.includes(line)).map((line) => `- ${line}`),
    ...b.filter((line) => !a.includes(line)).map((line) => `+ ${line}`),
  ];
}

function applied(edit: (document: TraceDocument) => edits.TextEdit[], from = text): string {
  const document = parseTraceDocument(from);
  const made = edit(document);
  for (const { end } of made) expect(end).toBeLessThanOrEqual(document.headerEnd);
  const result = edits.applyEdits(from, made);
  const reread = parseTraceDocument(result);
  expect(reread.faults).toEqual([]);
  expect(result.slice(reread.bodyStart)).toBe(from.slice(document.bodyStart));
  return result;
}

describe('each edit changes its line and nothing else', () => {
  test('accept and reject', () => {
    expect(
      changed(
        text,
        applied((d) => edits.setStatus(d, token, 'accepted', demo)),
      ),
    ).toMatchInlineSnapshot(`
      [
        "- pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
        "+ pivot: token=34 undesired=297 desired=298 method=branching status=accepted  # " +" -> " -"",
      ]
    `);
    expect(
      changed(
        text,
        applied((d) => edits.setStatus(d, token, 'rejected', demo)),
      ),
    ).toMatchInlineSnapshot(`
      [
        "- pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
        "+ pivot: token=34 undesired=297 desired=298 method=branching status=rejected  # " +" -> " -"",
      ]
    `);
  });

  test('swap, and swap back', () => {
    const swapped = applied((d) => edits.swapPivot(d, token, demo));
    expect(changed(text, swapped)).toMatchInlineSnapshot(`
      [
        "- pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
        "+ pivot: token=34 undesired=298 desired=297 method=branching status=edited  # " -" -> " +"",
      ]
    `);
    const back = applied((d) => edits.swapPivot(d, token, demo), swapped);
    expect(pivotLine(back)).toBe(pivotLine(text)!.replace('status=auto', 'status=edited'));
  });

  test('another desired token; the undesired one swaps', () => {
    const seven = demo.encode(' 7', { addSpecialTokens: false })[0]!;
    expect(
      changed(
        text,
        applied((d) => edits.setDesired(d, token, seven, demo)),
      ),
    ).toMatchInlineSnapshot(`
      [
        "- pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
        "+ pivot: token=34 undesired=297 desired=307 method=branching status=edited  # " +" -> " 7"",
      ]
    `);
    expect(applied((d) => edits.setDesired(d, token, plus, demo))).toBe(
      applied((d) => edits.swapPivot(d, token, demo)),
    );
    expect(pivotLine(applied((d) => edits.setDesired(d, token, minus, demo)))).toContain('status=accepted');
  });

  test('move, to either side and past another pivot', () => {
    const moved = applied((d) => edits.movePivot(d, token, token + 1, demo));
    expect(changed(text, moved)).toMatchInlineSnapshot(`
      [
        "- pivot: token=34 undesired=297 desired=298 method=branching status=auto  # " +" -> " -"",
        "+ pivot: token=35 undesired=309 desired=298 method=branching status=edited  # " 9" -> " -"",
      ]
    `);
    expect(parseTraceDocument(moved).pivots[0]).toMatchObject({ undesired: ids[token + 1], desired: minus });
    expect(applied((d) => edits.movePivot(d, token, token, demo))).toBe(text);
    const two = applied((d) => edits.markPivot(d, token + 2, minus, demo));
    const past = applied((d) => edits.movePivot(d, token, token + 4, demo), two);
    expect(parseTraceDocument(past).pivots.map((pivot) => pivot.token)).toEqual([token + 2, token + 4]);
  });

  test('a pivot of a right trace moves with its desired side', () => {
    const right = applied((d) => edits.swapPivot(d, token, demo));
    const moved = applied((d) => edits.movePivot(d, token, token + 1, demo), right);
    expect(parseTraceDocument(moved).pivots[0]).toMatchObject({ desired: ids[token + 1], undesired: minus });
  });

  test('mark, in the order of tokens', () => {
    const before = applied((d) => edits.markPivot(d, token - 1, minus, demo));
    expect(changed(text, before)).toMatchInlineSnapshot(`
      [
        "+ pivot: token=33 undesired=55 desired=298 method=human status=accepted  # "6" -> " -"",
      ]
    `);
    const both = applied((d) => edits.markPivot(d, token + 3, minus, demo), before);
    expect(parseTraceDocument(both).pivots.map((pivot) => pivot.token)).toEqual([
      token - 1,
      token,
      token + 3,
    ]);
    const bare = applied((d) => edits.removePivots(d, token));
    expect(applied((d) => edits.markPivot(d, token, minus, demo), bare)).toBe(
      text.replace('method=branching status=auto', 'method=human status=accepted'),
    );
  });

  test('marking a pivot again sets its token; what a hand has set stays accepted', () => {
    const rejected = applied((d) => edits.setStatus(d, token, 'rejected', demo));
    const seven = demo.encode(' 7', { addSpecialTokens: false })[0]!;
    const again = applied((d) => edits.markPivot(d, token, seven, demo), rejected);
    expect(parseTraceDocument(again).pivots).toMatchObject([{ desired: seven, status: 'edited' }]);
    const own = applied((d) => edits.markPivot(d, token + 1, minus, demo));
    const swapped = applied((d) => edits.swapPivot(d, token + 1, demo), own);
    expect(parseTraceDocument(swapped).pivots[1]).toMatchObject({ method: 'human', status: 'accepted' });
  });

  test('remove', () => {
    expect(
      changed(
        text,
        applied((d) => edits.removePivots(d, token)),
      ),
    ).toEqual([`- ${pivotLine(text)}`]);
  });

  test('exclude and include', () => {
    const excluded = applied((d) => edits.setExcluded(d, true));
    expect(excluded).toBe(text.replace('run: ..\n', 'run: ..\nexcluded: true\n'));
    expect(applied((d) => edits.setExcluded(d, true), excluded)).toBe(excluded);
    expect(applied((d) => edits.setExcluded(d, false), excluded)).toBe(text);
    expect(applied((d) => edits.setExcluded(d, false))).toBe(text);
    const no = text.replace('run: ..\n', 'excluded: false\n');
    expect(applied((d) => edits.setExcluded(d, true), no)).toBe(no.replace('false\npivot', 'true\npivot'));
  });
});

test('an edit replaces no more than what differs', () => {
  const [accept] = edits.setStatus(parseTraceDocument(text), token, 'accepted', demo);
  expect(text.slice(accept!.start, accept!.end)).toBe('uto');
  expect(accept!.newText).toBe('ccepted');
});

test('characters of two units are not cut', () => {
  const odd = text.replace(/ {2}# .*/, '  # "😀" -> "😁"');
  for (const edit of edits.setStatus(parseTraceDocument(odd), token, 'accepted', {
    tokenText: (id) => (id === plus ? '😂' : '😁'),
  })) {
    expect(odd.slice(edit.start, edit.end)).not.toMatch(/\p{Cs}/u);
    expect(edit.newText).not.toMatch(/\p{Cs}/u);
  }
});

test('without a tokenizer: the comment stays while it is true and goes when it is not', () => {
  expect(pivotLine(applied((d) => edits.setStatus(d, token, 'accepted', null)))).toContain('# " +" -> " -"');
  expect(pivotLine(applied((d) => edits.swapPivot(d, token, null)))).not.toContain('#');
});

test('words that the product does not know stay on their lines, in their order', () => {
  const odd = text
    .replace('status=auto', 'status=auto by=ann at=2026')
    .replace('run: ..\n', 'run: ..\nreviewer: Ann\n');
  const swapped = applied((d) => edits.swapPivot(d, token, demo), odd);
  expect(pivotLine(swapped)).toContain('status=edited by=ann at=2026  #');
  expect(swapped).toContain('run: ..\nreviewer: Ann\npivot');
});

test('CRLF is kept', () => {
  const windows = text.replaceAll('\n', '\r\n');
  const steps: ((d: TraceDocument) => edits.TextEdit[])[] = [
    (d) => edits.markPivot(d, token + 2, minus, demo),
    (d) => edits.setExcluded(d, true),
    (d) => edits.movePivot(d, token, token + 4, demo),
    (d) => edits.setStatus(d, token + 2, 'rejected', demo),
  ];
  let [unix, dos] = [text, windows];
  for (const step of steps) {
    unix = applied(step, unix);
    dos = applied(step, dos);
    expect(dos).toBe(unix.replaceAll('\n', '\r\n'));
  }
});

test('any run of edits leaves a document without faults, and its body', () => {
  const rng = new Rng('edits');
  const first = trace.prompt_ids.length;
  let now = text;
  let made = 0;
  for (let round = 0; round < 400; round++) {
    const at = first + rng.int(trace.completion_ids.length);
    const to = first + rng.int(trace.completion_ids.length);
    const id = rng.int(1000);
    const all: ((d: TraceDocument) => edits.TextEdit[])[] = [
      (d) => edits.markPivot(d, at, id, demo),
      (d) => edits.markPivot(d, at, id, demo),
      (d) => edits.setStatus(d, at, 'accepted', demo),
      (d) => edits.setStatus(d, at, 'rejected', null),
      (d) => edits.swapPivot(d, at, demo),
      (d) => edits.setDesired(d, at, id, demo),
      (d) => edits.movePivot(d, at, to, demo),
      (d) => edits.removePivots(d, at),
      (d) => edits.setExcluded(d, round % 2 === 0),
    ];
    try {
      now = applied(all[rng.int(all.length)]!, now);
      made++;
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
    }
    const tokens = parseTraceDocument(now).pivots.map((pivot) => pivot.token);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
  }
  expect(made).toBeGreaterThan(150);
});

describe('what cannot be is refused with a reason', () => {
  const cases: [string, (d: TraceDocument) => unknown, RegExp][] = [
    ['no pivot there', (d) => edits.swapPivot(d, token + 1, demo), /is no pivot. Mark it/],
    ['a token of the prompt', (d) => edits.markPivot(d, 0, 5, demo), /not part of the completion/],
    [
      'a token past the end',
      (d) => edits.movePivot(d, token, ids.length, demo),
      /not part of the completion/,
    ],
    [
      'its own token',
      (d) => edits.markPivot(d, token + 1, ids[token + 1]!, demo),
      /that the trace has there/,
    ],
    [
      'onto another pivot',
      (d) =>
        edits.movePivot(
          parseTraceDocument(edits.applyEdits(d.text, edits.markPivot(d, token + 1, 5, demo))),
          token,
          token + 1,
          demo,
        ),
      /is a pivot already/,
    ],
    [
      'where the trace has its other token',
      (d) =>
        edits.movePivot(
          parseTraceDocument(d.text.replace(/ desired=\d+/, ` desired=${ids[token + 1]}`)),
          token,
          token + 1,
          demo,
        ),
      /has the pivot's desired token/,
    ],
  ];
  test.each(cases)('%s', (_, edit, message) => {
    expect(() => edit(parseTraceDocument(text))).toThrow(InputError);
    expect(() => edit(parseTraceDocument(text))).toThrow(message);
  });
});
