import { beforeAll, describe, expect, it } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { evaluateControls } from '../../server/evaluate/items.ts';
import { Runner } from '../../server/generate/forward.ts';
import { logProbability } from '../../server/generate/likelihood.ts';
import { Model } from '../../server/model/model.ts';
import { checkpointFolder } from '../oracle.ts';

const settings = { batch: 2, maxTokens: 6 };
const hooks = { signal: neverAborted };
let runner: Runner;

beforeAll(async () => {
  runner = await Runner.create(await Model.load(checkpointFolder('llama-tied')));
});

describe('multiple choice', () => {
  const prompt = 'What is left of twelve boxes?';
  const choices = [' 3', ' nine boxes', ' a very long answer', ' no'];

  it('scores every choice by the log-likelihood of its tokens, long and short', async () => {
    const { tokenizer, config } = runner.model;
    const expected: number[] = [];
    for (const choice of choices) {
      const head = tokenizer.encode(prompt);
      const tail = tokenizer.encode(choice, { addSpecialTokens: false });
      const rows = tail.map((_, t) => head.length - 1 + t);
      const [whole] = await runner.forward([{ ids: [...head, ...tail], rows }]);
      expected.push(
        tail.reduce((sum, id, t) => sum + logProbability(whole!.logits, t, id, config.vocabSize), 0),
      );
    }
    expect(
      new Set(choices.map((c) => tokenizer.encode(c, { addSpecialTokens: false }).length)).size,
    ).toBeGreaterThan(1);
    const best = expected.indexOf(Math.max(...expected));
    const items = choices.map((_, label) => ({ prompt, choices, label }));
    const outcomes = await evaluateControls(runner, items, settings, hooks);
    for (const [label, { correct, text, logLikelihoods }] of outcomes.entries()) {
      expect(correct).toBe(label === best);
      expect(text).toBe(choices[best]);
      logLikelihoods!.forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i]!, 4);
      });
    }
  });
});

describe('open recall', () => {
  it('compares the completion up to the line break, white space aside, or as TriviaQA does', async () => {
    const prompt = 'She has 4';
    const [plain] = await evaluateControls(runner, [{ prompt, answer: 'none of this' }], settings, hooks);
    const said = plain!.text;
    expect(plain!.correct).toBe(false);
    expect(said.trim()).not.toBe('');
    const dressed = `The ${said.toUpperCase()}!`;
    const items = [
      { prompt, answer: ` ${said}  ` },
      { prompt, answer: ['something else', said] },
      { prompt, answer: dressed },
      { prompt, answer: ['something else', dressed], compare: 'trivia' as const },
      { prompt, answer: 'something else', compare: 'trivia' as const },
    ];
    const outcomes = await evaluateControls(runner, items, settings, hooks);
    expect(outcomes.map((o) => o.text)).toEqual(items.map(() => said));
    expect(outcomes.map((o) => o.correct)).toEqual([true, true, false, true, false]);
  });
});
