import { describe, expect, test } from 'vitest';
import { printTraceDocument, traceIds } from '../../server/data/trace-print.ts';
import { Rng } from '../../server/random.ts';
import { demo, families, hostileText, opened, sample, traceOf } from './sample.ts';

const all = families();
const byteLevel = all.get('qwen 2')!;
const fallback = all.get('llama 2, metaspace first')!;

/** As an editor opens a file: one kind of line end. */
const normalised = (text: string, eol: string) => text.replace(/\r\n|\r|\n/g, eol);

describe.each([['demo', demo] as const, ...all])('%s', (name, tokenizer) => {
  test('tokens tile the body, and their text stands at their places, under any line ends', () => {
    const rng = new Rng(name);
    for (let round = 0; round < 30; round++) {
      const trace = traceOf(tokenizer, hostileText(rng, 6), hostileText(rng, 12));
      if (trace.prompt_ids.length === 0) continue;
      const printed = printTraceDocument(trace, [], tokenizer);
      const { text: decoded, spans } = tokenizer.tokenSpans(traceIds(trace));
      for (const text of [printed, normalised(printed, '\n'), normalised(printed, '\r\n')]) {
        const open = opened(text, tokenizer);
        const map = open.tokens!;
        expect(map).not.toBeNull();
        let end = open.document.bodyStart;
        for (let i = 0; i < map.length; i++) {
          const own = map.own(i);
          expect(own.start).toBe(end);
          end = own.end;
          const said = decoded.slice(spans[i]!.start, spans[i]!.end);
          // A token of half a line end has all of it or nothing where the other half is not there.
          const half = said.startsWith('\n') && decoded[spans[i]!.start - 1] === '\r';
          if (!said.includes('\r') && !half) {
            expect(normalised(text.slice(own.start, own.end), '\n')).toBe(said);
          }
        }
        expect(end).toBe(text.length);
      }
    }
  });

  test('the token at every offset is the one whose range holds it', () => {
    const rng = new Rng(`${name} at`);
    for (let round = 0; round < 10; round++) {
      const trace = traceOf(tokenizer, `Q ${hostileText(rng, 4)}`, hostileText(rng, 8));
      const map = opened(printTraceDocument(trace, [], tokenizer), tokenizer).tokens!;
      const { start } = map.own(0);
      const { end } = map.own(map.length - 1);
      for (let offset = start; offset < end; offset++) {
        const here = map.at(offset);
        const own = map.own(here.at(-1)!);
        expect(own.start <= offset && offset < own.end).toBe(true);
        for (const token of here) {
          const range = map.range(token);
          expect(range.start <= offset && offset < range.end).toBe(true);
        }
      }
      expect(map.at(start - 1)).toEqual([]);
      expect(map.at(end + 1)).toEqual([]);
      expect(map.at(end)).toEqual(map.at(end - 1).slice(-1));
    }
  });
});

describe('characters that several tokens share', () => {
  test.each([
    ['byte-level', byteLevel],
    ['byte fallback', fallback],
  ])('%s: every token of an emoji has its range', (_, tokenizer) => {
    const trace = traceOf(tokenizer, 'Q', 'a😀b');
    const open = opened(printTraceDocument(trace, [], tokenizer), tokenizer);
    const ranges = open.tokenRanges();
    const emoji = open.text.indexOf('😀');
    const of = ranges.filter(({ text }) => text.startsWith('\\x'));
    expect(of.map(({ text }) => text)).toEqual(['\\xF0', '\\x9F', '\\x98', '\\x80']);
    const position = open.range({ start: emoji, end: emoji + 2 });
    for (const { range } of of) expect(range).toEqual(position);
    expect(open.tokens!.at(emoji)).toEqual(of.map(({ index }) => index));
    // Between the two units of the emoji: still the same tokens.
    expect(open.tokens!.at(emoji + 1)).toEqual(of.map(({ index }) => index));
    expect(open.tokenAt(position.start)).toBe(of.at(-1)!.index);
    expect(open.tokenAt(position.end)).toBe(of.at(-1)!.index + 1);
  });

  test('a pivot among them is the one that a place means', () => {
    const trace = traceOf(byteLevel, 'Q', 'a😀b');
    const second = byteLevel.encode('a😀', { addSpecialTokens: false }).length - 3;
    const text = printTraceDocument(
      trace,
      [
        {
          id: 'x',
          prefix: [...trace.prompt_ids, ...trace.completion_ids.slice(0, second)],
          desired: 5,
          undesired: trace.completion_ids[second]!,
          method: 'human',
          status: 'accepted',
        },
      ],
      byteLevel,
    );
    const open = opened(text, byteLevel);
    const { start } = open.range({ start: text.lastIndexOf('😀'), end: text.length });
    expect(open.tokenAt(start)).toBe(trace.prompt_ids.length + second);
  });
});

describe('places in UTF-16 units', () => {
  test('tabs, wide characters and line ends', () => {
    const trace = traceOf(byteLevel, 'Q\n', '\t数😀x\ny');
    for (const eol of ['\n', '\r\n']) {
      const open = opened(normalised(printTraceDocument(trace, [], byteLevel), eol), byteLevel);
      const last = open.tokenRanges();
      const x = last.findLast(({ text }) => text === 'x')!;
      expect(x.range.start.character).toBe(4);
      expect(x.range.end.character).toBe(5);
      const y = last.findLast(({ text }) => text === 'y')!;
      expect(y.range.start).toEqual({ line: x.range.start.line + 1, character: 0 });
    }
  });

  test('a token without text has an empty range and is at no offset', () => {
    const trace = traceOf(demo, 'Q', 'A B');
    trace.completion_ids.splice(1, 0, 1_000_000);
    const open = opened(printTraceDocument(trace, [], demo), demo);
    const odd = open.tokenRange(trace.prompt_ids.length + 1);
    expect(odd.range.start).toEqual(odd.range.end);
    expect(odd.text).toBe('');
    expect(open.tokenAt(odd.range.start)).toBe(odd.index + 1);
  });
});

describe('a body that was changed', () => {
  const { text } = sample();
  const body = text.indexOf('\n---\n') + 5;

  test.each([
    ['a final newline added', `${text}\n`],
    ['final newlines added', `${text}\r\n\n`],
    ['line ends', normalised(text, '\r\n')],
  ])('%s: still its tokens', (_, changed) => {
    expect(opened(changed).tokens?.length).toBe(opened(text).tokens!.length);
    expect(opened(changed).view().tokens).toBe(opened(text).view().tokens);
  });

  test('a final newline taken away', () => {
    const trace = traceOf(demo, 'Q', 'A.\n');
    const printed = printTraceDocument(trace, [], demo);
    const open = opened(printed.trimEnd());
    expect(open.tokens).not.toBeNull();
    const last = open.tokens!.range(open.tokens!.length - 1);
    expect(last).toEqual({ start: open.text.length, end: open.text.length });
  });

  test.each([
    ['a letter changed', text.replace('The answer', 'The Answer'), 'Answer is', 'answer is'],
    ['text added', `${text} More`, ' More', ''],
    ['text cut', text.slice(0, -4), '', ' 45.'],
    ['a line put in', text.replace('\nThe answer', '\n\nThe answer'), '\nThe', 'The'],
  ])('%s: told with the place, and no tokens', (_, changed, found, expected) => {
    const open = opened(changed);
    const { mismatch } = open.aligned!;
    expect(open.tokens).toBeNull();
    expect(open.view().tokens).toBeNull();
    expect(changed.startsWith(found, mismatch!.at)).toBe(true);
    expect(changed.slice(0, mismatch!.at)).toBe(text.slice(0, mismatch!.at));
    expect(mismatch!.found.startsWith(found)).toBe(true);
    expect(mismatch!.expected.startsWith(expected)).toBe(true);
    // The token that is named is the first that is not whole.
    const whole = opened(text).tokens!;
    if (expected === '' && found !== '') expect(mismatch!.token).toBe(whole.length);
    else expect(whole.own(mismatch!.token).end).toBeGreaterThan(mismatch!.at);
    if (mismatch!.token > 0) {
      expect(whole.own(mismatch!.token - 1).end).toBeLessThanOrEqual(mismatch!.at);
    }
    // Prompt and completion are still told apart: the change is behind the prompt.
    expect(open.parts.prompt).toEqual({ start: body, end: text.indexOf('Solution:') + 'Solution:'.length });
  });
});

test('documents of 500 and of 5,000 tokens are read and mapped in time', () => {
  for (const [tokens, limit] of [
    [500, 25],
    [5000, 250],
  ] as const) {
    const line = ' 36 + 9 = 45 boxes 数.\n';
    const completion = line.repeat(Math.ceil(tokens / demo.encode(line).length));
    const text = printTraceDocument(traceOf(demo, 'Q', completion), [], demo);
    const times = Array.from({ length: 7 }, () => {
      const start = performance.now();
      opened(text).tokenRange(tokens - 1);
      return performance.now() - start;
    });
    // The best of a few, with room for a busy machine: measured 0.7 and 3 ms.
    expect(Math.min(...times)).toBeLessThan(limit);
  }
});
