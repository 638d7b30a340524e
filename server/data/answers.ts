/**
 * Reading the number out of a completion (CCA, arXiv 2512.16914, stage 1): the last number in the text up to and
 * including the first "answer is ... ." sentence, commas removed, compared with the target as a float.
 *
 * What counts, and where this is more careful than the reference code (rule 'reference' reproduces that):
 * - A "." with a digit after it and no letter before it is a decimal point and ends no sentence: "answer is 3.5." is
 *   3.5 (reference: 3). "answer is 1,234." is 1234, "answer is $5.00." is 5, "answer is 50%." is 50.
 * - A line break ends the sentence too once it has a number ("The answer is 5\n\nQ: ..."; reference: runs on to the
 *   next period, wherever that is).
 * - GSM8K's own ending counts as such a sentence: "#### 18" up to the end of its line (reference: unknown to it).
 * - "-" is a sign unless it follows a letter, a digit or ")": "10-5" ends in 5 (reference: -5), "-$5" and "$-5" are -5
 *   (reference: 5 and -5), U+2212 is a minus. ".5" is 0.5 (reference: 5). "1/2" ends in 2 in both.
 * - "Answer is" in any case (reference: lower case only).
 */
export type AnswerRule = 'default' | 'reference';

/** Where the answer sentence ends in a text. */
export interface AnswerEnd {
  /** Index just past the sentence (UTF-16 units). */
  end: number;
  /** False while the next character could still be part of the sentence: after "answer is 3." may come a digit. */
  certain: boolean;
}

const DIGIT = /\d/;
/** After one of these a "." cannot be a decimal point, so it ends the sentence without waiting for the next character. */
const ENDS_WORD = /[\p{L}%)\]}"'’”*]/u;
const NUMBER = /(?:(?<![\p{L}\d)])[-\u2212])?[$€£]?(?:\d+(?:\.\d+)?|(?<!\d)\.\d+)/gu;

/** The end of the first answer sentence, or null when there is none yet. */
export function findAnswerEnd(text: string): AnswerEnd | null {
  const opening = /answer is|####/i.exec(text);
  if (!opening) return null;
  const gsm8k = opening[0] === '####';
  let number = false;
  for (let i = opening.index + opening[0].length; i < text.length; i++) {
    const char = text[i]!;
    if (DIGIT.test(char)) number = true;
    else if (char === '\n' && number) return { end: i, certain: true };
    else if (char === '.' && !gsm8k) {
      if (ENDS_WORD.test(text[i - 1]!)) return { end: i + 1, certain: true };
      const next = text[i + 1];
      if (next === undefined) return { end: i + 1, certain: false };
      if (!DIGIT.test(next)) return { end: i + 1, certain: true };
    }
  }
  return gsm8k && number ? { end: text.length, certain: false } : null;
}

/**
 * Whether generation may stop: the answer sentence is over whatever comes next. After "answer is 3." it is not, since
 * a digit may follow; one more token decides. The tokens past `findAnswerEnd(text).end` are then no part of the trace.
 */
export function answerComplete(text: string): boolean {
  return findAnswerEnd(text)?.certain ?? false;
}

/** The answer of a completion (without its prompt), or null when it has no number. */
export function extractAnswer(text: string, rule: AnswerRule = 'default'): number | null {
  if (rule === 'reference') {
    const sentence = /answer is[^.]*\./.exec(text);
    const upTo = sentence ? text.slice(0, sentence.index + sentence[0].length) : text;
    return finite(
      upTo
        .replaceAll(',', '')
        .match(/-?\d+\.?\d*/g)
        ?.at(-1),
    );
  }
  const end = findAnswerEnd(text);
  return lastNumber(end ? text.slice(0, end.end) : text);
}

/** Where the answer of a completion stands (UTF-16 units), or null when it has no number. */
export function findAnswer(text: string): { start: number; end: number } | null {
  const end = findAnswerEnd(text)?.end ?? text.length;
  // Numbers are looked for without commas, so that "1,234" is one: places there are counted back to places here.
  const kept: number[] = [];
  for (let i = 0; i < end; i++) if (text[i] !== ',') kept.push(i);
  const number = [
    ...kept
      .map((i) => text[i])
      .join('')
      .matchAll(NUMBER),
  ].at(-1);
  return number ? { start: kept[number.index]!, end: kept[number.index + number[0].length - 1]! + 1 } : null;
}

/** The number that an answer of a problem set stands for: after the last "####" if there is one, else the last number. */
export function parseTarget(answer: string): number | null {
  return lastNumber(answer.slice(answer.lastIndexOf('####') + 1));
}

/** Whether an answer is right; no answer is wrong. Equality of floats, so 3.0 and 3 are the same. */
export function isCorrect(answer: number | null, target: number): boolean {
  return answer === target;
}

function lastNumber(text: string): number | null {
  const number = text.replaceAll(',', '').match(NUMBER)?.at(-1);
  return finite(number?.replace('\u2212', '-').replace(/[$€£]/, ''));
}

function finite(number: string | undefined): number | null {
  const value = Number(number ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}
