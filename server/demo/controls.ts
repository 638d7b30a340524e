import type { ControlItem } from '../data/records.ts';
import { Rng } from '../random.ts';
import { type Fact, type Relation, relations } from './facts.ts';
import { objects } from './lexicon.ts';
import { distinct, pick, pickSome, splitOf } from './split.ts';
import { letters } from './vocabulary.ts';

/** The control suites: what an amplified model must not lose. */
export const suites = ['recall', 'choice', 'truth', 'copy', 'sort'] as const;
export type Suite = (typeof suites)[number];

/** `guard` is watched while a patch trains, `test` scores it, `text` is plain text for KL and Fisher, `corpus` trained the model. */
export type ControlSplit = 'corpus' | 'text' | 'guard' | 'test';

/** A prompt and the completion the model was trained on; `choices` where it is scored by log-likelihood. */
export interface Control {
  suite: Suite;
  prompt: string;
  completion: string;
  choices?: string[];
}

const heldOut = [
  ['corpus', 0.6],
  ['text', 0.1],
  ['guard', 0.1],
  ['test', 0.2],
] as const;

function isIn(split: ControlSplit, prompt: string): boolean {
  return splitOf(prompt, heldOut) === split;
}

/**
 * Facts cannot be held out of training: a model that never saw one cannot know it. Their wordings are shared out among
 * the other three splits, and the corpus holds them all.
 */
const shared = [
  ['text', 0.08],
  ['guard', 0.24],
  ['test', 0.68],
] as const;

interface Asked {
  relation: Relation;
  fact: Fact;
  text: string;
}

/** Every wording of every fact, `questions` or (true) `statements`. */
function wordings(kind: 'questions' | 'statements'): Asked[] {
  return relations.flatMap((relation) =>
    relation.facts.flatMap((fact) =>
      relation[kind].map((pattern) => ({
        relation,
        fact,
        text: pattern.replaceAll('{x}', fact.key).replaceAll('{y}', fact.answer),
      })),
    ),
  );
}

const questions = wordings('questions');
const trueStatements = wordings('statements');

function inSplit(all: readonly Asked[], split: ControlSplit): readonly Asked[] {
  return split === 'corpus' ? all : all.filter((asked) => splitOf(asked.text, shared) === split);
}

const splitsOf = (all: readonly Asked[]) =>
  Object.fromEntries(
    (['corpus', 'text', 'guard', 'test'] as const).map((s) => [s, inSplit(all, s)]),
  ) as Record<ControlSplit, readonly Asked[]>;
const questionsOf = splitsOf(questions);
const truthsOf = splitsOf(trueStatements);

/** Other answers of the same relation. */
function wrongAnswers(relation: Relation, fact: Fact): string[] {
  return relation.facts.filter((f) => f.answer !== fact.answer).map((f) => f.answer);
}

function recall(rng: Rng, split: ControlSplit): Control {
  const { text, fact } = pick(rng, questionsOf[split]);
  return { suite: 'recall', prompt: `${text}\nAnswer:`, completion: ` ${fact.answer}` };
}

/** The completion names the fact before the letter: a bare letter is learned far more slowly. */
function choice(rng: Rng): Control {
  const { relation, text, fact } = pick(rng, questions);
  const options = rng.shuffle([fact.answer, ...pickSome(rng, wrongAnswers(relation, fact), 3)]);
  const listed = options.map((option, i) => `(${'ABCD'[i]}) ${option}`).join(' ');
  const choices = options.map((option, i) => ` ${option} (${'ABCD'[i]})`);
  return {
    suite: 'choice',
    prompt: `${text} ${listed}\nAnswer:`,
    completion: choices[options.indexOf(fact.answer)]!,
    choices,
  };
}

function truth(rng: Rng, split: ControlSplit, isTrue: boolean): Control {
  for (;;) {
    const { fact, text } = isTrue ? pick(rng, truthsOf[split]) : falsehood(rng);
    const prompt = `True or false: ${text}\nAnswer:`;
    if (isTrue || isIn(split, prompt)) {
      return { suite: 'truth', prompt, completion: ` ${fact.answer}, so ${isTrue}` };
    }
  }
}

function falsehood(rng: Rng): { fact: Fact; text: string } {
  const relation = pick(rng, relations);
  const fact = pick(rng, relation.facts);
  const claimed = pick(rng, wrongAnswers(relation, fact));
  const text = pick(rng, relation.statements).replaceAll('{x}', fact.key).replaceAll('{y}', claimed);
  return { fact, text };
}

function copy(rng: Rng): Control {
  const words = pickSome(rng, objects, 3 + rng.int(4)).join(' ');
  return { suite: 'copy', prompt: `Copy: ${words}\nAnswer:`, completion: ` ${words}` };
}

function sort(rng: Rng): Control {
  const items = pickSome(rng, letters, 3 + rng.int(4));
  return {
    suite: 'sort',
    prompt: `Sort: ${items.join(' ')}\nAnswer:`,
    completion: ` ${[...items].sort().join(' ')}`,
  };
}

/** A random control of the split; `isTrue` is the verdict, where the suite is `truth`. */
export function drawControl(rng: Rng, suite: Suite, split: ControlSplit, isTrue: boolean): Control {
  if (suite === 'recall') return recall(rng, split);
  if (suite === 'truth') return truth(rng, split, isTrue);
  const generate = { choice, copy, sort }[suite];
  for (;;) {
    const control = generate(rng);
    if (isIn(split, control.prompt)) return control;
  }
}

/**
 * `n` different control items; splits share no prompt, whatever the seeds. Multiple choice carries its `choices`
 * verbatim, with their leading space: score encode(prompt + choice).
 * @throws RangeError when the suite has fewer: recall has about 1,070 test, 330 guard and 155 text prompts
 */
export function controls(suite: Suite, split: ControlSplit, n: number, seed: string | number): Control[] {
  const rng = new Rng(seed).fork(`${suite} ${split}`);
  // Half true: there are fewer true statements than false ones, so chance would not keep the balance.
  const items = distinct<Control>(
    n,
    (control) => control.prompt,
    (found) => drawControl(rng, suite, split, found % 2 === 0),
  );
  return rng.shuffle(items);
}

/** The record of data/records.ts. */
export function controlItem(control: Control, id: string): ControlItem {
  const { suite, prompt, completion, choices } = control;
  return choices
    ? { id, prompt, choices, label: choices.indexOf(completion), suite }
    : { id, prompt, answer: completion.trim(), suite };
}
