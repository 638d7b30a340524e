import { describe, expect, it } from 'vitest';
import {
  answerComplete,
  extractAnswer,
  findAnswerEnd,
  isCorrect,
  parseTarget,
} from '../../server/data/answers.ts';

describe('extractAnswer', () => {
  it.each([
    ['3 + 4 = 7. The answer is 7. Then 8.', 7],
    ['The answer is 7. The answer is 8.', 7],
    ['no sentence: 3 and then 4', 4],
    ['answer is 1,234.', 1234],
    ['answer is 3.5.', 3.5],
    ['answer is 3.', 3],
    ['answer is 3.0. Q: 9', 3],
    ['answer is $5.00.', 5],
    ['answer is 50%.', 50],
    ['answer is -5.', -5],
    ['answer is -$5.', -5],
    ['answer is $-5.', -5],
    ['answer is \u22125.', -5],
    ['answer is .5.', 0.5],
    ['10-5', 5],
    ['(3)-4', 4],
    ['5 -3', -3],
    ['5 - 3', 3],
    ['answer is 1/2.', 2],
    ['answer is 5 apples.\n\nQ: 6', 5],
    ['The answer is 5\n\nQ: There are 6 apples. A: 7', 5],
    ['The answer is:\n5. Q: 6', 5],
    ['**Answer is** 12. 13', 12],
    ['4 apples. The answer is unknown. 9', 4],
    ['x = 18\n#### 18\n\nQ: 4', 18],
    ['#### 1,234.5', 1234.5],
    ['#### 2\nanswer is 3.', 2],
  ])('%j is %d', (text, answer) => expect(extractAnswer(text)).toBe(answer));

  it('is null without a number', () => {
    expect(extractAnswer('The answer is unknown.')).toBeNull();
    expect(extractAnswer('')).toBeNull();
    expect(extractAnswer('9'.repeat(400))).toBeNull();
  });

  it.each([
    ['answer is 3.5.', 3],
    ['The answer is 5\n\nQ: There are 6 apples. A: 7', 6],
    ['10-5', -5],
    ['-$5', 5],
    ['.5', 5],
    ['Answer is 5. 6', 6],
    ['answer is 1,234. 5', 1234],
  ])('reproduces the reference rule where asked: %j is %d', (text, answer) =>
    expect(extractAnswer(text, 'reference')).toBe(answer),
  );
});

describe('parseTarget', () => {
  it.each([
    ['She makes 9 * 2 = $<<9*2=18>>18.\n#### 18', 18],
    ['#### -1,000.5', -1000.5],
    ['The answer is 5. No, 6', 6],
    ['18', 18],
  ])('%j is %d', (text, target) => expect(parseTarget(text)).toBe(target));
  it('is null without a number after ####', () => expect(parseTarget('3 #### none')).toBeNull());
});

describe('answerComplete', () => {
  it.each([
    ['answer is 3', false],
    ['answer is 3.', false], // a digit may follow
    ['answer is 3.5', false],
    ['answer is 3.5.', false],
    ['answer is 3. ', true],
    ['answer is 3.\n', true],
    ['answer is 3.5. Q', true],
    ['answer is 3.Q', true],
    ['answer is .', false],
    ['answer is 3 apples.', true], // a letter before: no decimal point
    ['answer is 50%.', true],
    ['answer is 3\n', true],
    ['answer is\n', false],
    ['#### 18', false],
    ['#### 18\n', true],
    ['It is 3. And 4. ', false],
  ])('%j: %s', (text, complete) => expect(answerComplete(text)).toBe(complete));

  it('never changes the answer once true, whatever follows', () => {
    const texts = [
      'answer is 3 apples.',
      'answer is 3. ',
      'answer is 12.5.\n',
      '#### 7\n',
      'The answer is $4\n',
    ];
    for (const text of texts) {
      expect(answerComplete(text)).toBe(true);
      for (const more of ['5', '.5', ' 6.', '\n#### 9', ',000', 'answer is 8.'])
        expect(extractAnswer(text + more)).toBe(extractAnswer(text));
    }
  });

  it('tells where the sentence ends, for cutting the token that decided', () => {
    expect(findAnswerEnd('answer is 3.')).toEqual({ end: 12, certain: false });
    expect(findAnswerEnd('answer is 3. Q')).toEqual({ end: 12, certain: true });
    expect(findAnswerEnd('answer is 3.5')).toBeNull();
    expect(findAnswerEnd('answer is 3\nQ')).toEqual({ end: 11, certain: true });
  });
});

describe('isCorrect', () => {
  it('compares as floats', () => {
    expect(isCorrect(extractAnswer('answer is 3.0.'), 3)).toBe(true);
    expect(isCorrect(extractAnswer('answer is 0.10.'), 0.1)).toBe(true);
    expect(isCorrect(3, 4)).toBe(false);
    expect(isCorrect(null, 4)).toBe(false);
  });
});
