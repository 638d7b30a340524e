/** The cost model, and what the stages expect of their work against what they do. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AmplifyObjective, objectiveTokens } from '../../server/amplify/objective.ts';
import { neverAborted, type Signal, type WorkKind } from '../../server/control.ts';
import type { ControlItem, Pair } from '../../server/data/records.ts';
import { evaluateControls } from '../../server/evaluate/items.ts';
import { fisherScores, fisherTokens } from '../../server/mask/fisher.ts';
import { type Circuit, ComponentSpace, circuitDeltas } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { noOverlay } from '../../server/model/overlay.ts';
import {
  makeRunners,
  type Runners,
  type StageEvent,
  type StageProgress,
} from '../../server/pipeline/context.ts';
import { estimatedTokens, MeanLength, Rounds, SuiteWork } from '../../server/pipeline/expected.ts';
import { randomCircuit, wholeCircuit } from '../../server/pipeline/select.ts';
import { defaultSettings } from '../../server/pipeline/settings.ts';
import { trainingWork } from '../../server/pipeline/train.ts';
import { type Piece, Rates, StageWork, sumOf } from '../../server/pipeline/work.ts';
import { Rng } from '../../server/random.ts';
import { checkpointFolder } from '../oracle.ts';

describe('seconds per token', () => {
  test('each kind has its own, whatever share it has of the work', () => {
    const rates = new Rates();
    for (let i = 0; i < 10; i++) {
      rates.add('decode', 50, 1);
      rates.add('forward', 1000, 0.5);
    }
    expect(rates.seconds({ decode: 100 })).toBeCloseTo(2);
    expect(rates.seconds({ forward: 4000, decode: 50 })).toBeCloseTo(3);
    expect(rates.seconds({})).toBe(0);
    expect(rates.seconds({ decode: Number.NaN })).toBeNull();
  });

  test('nothing is known before anything is measured', () => {
    expect(new Rates().seconds({ forward: 1 })).toBeNull();
  });

  test('a kind that was not seen costs its usual multiple of those that were', () => {
    const rates = new Rates();
    rates.add('decode', 10, 5);
    for (let i = 0; i < 5; i++) rates.add('decode', 300, 3);
    expect(rates.seconds({ forward: 300 })).toBeCloseTo(1);
    expect(rates.seconds({ train: 300 })).toBeCloseTo(2);
  });

  test('the first of a stage, which compiles, counts only while there is no other, and never for more than is usual', () => {
    const alone = new Rates();
    alone.add('train', 100, 7);
    expect(alone.seconds({ train: 100 })).toBeCloseTo(7);
    alone.add('train', 100, 1);
    expect(alone.seconds({ train: 100 })).toBeCloseTo(1);
    const beside = new Rates();
    for (let i = 0; i < 3; i++) beside.add('forward', 100, 1);
    beside.add('train', 100, 7);
    expect(beside.seconds({ train: 100 })).toBeCloseTo(2);
  });

  test('an earlier stage gives a guess, which the present one soon outweighs', () => {
    const rates = new Rates();
    for (let i = 0; i < 100; i++) rates.add('decode', 100, 1);
    rates.begin();
    expect(rates.seconds({ decode: 100 })).toBeCloseTo(1);
    for (let i = 0; i < 11; i++) rates.add('decode', 100, 2);
    expect(rates.seconds({ decode: 100 })).toBeGreaterThan(1.85);
  });

  test('old speed is forgotten', () => {
    const rates = new Rates();
    for (let i = 0; i < 60; i++) rates.add('decode', 100, 1);
    for (let i = 0; i < 60; i++) rates.add('decode', 100, 4);
    expect(rates.seconds({ decode: 100 })).toBeGreaterThan(3.7);
  });
});

describe('a stage', () => {
  let clock = 0;
  let told: StageProgress[] = [];
  const emit = (event: StageEvent) => {
    if (event.event === 'progress') told.push(event);
  };
  const context = () => ({ model: {} as Model, signal: neverAborted, emit });

  beforeEach(() => {
    clock = 0;
    told = [];
    vi.spyOn(performance, 'now').mockImplementation(() => clock);
  });
  afterEach(() => vi.restoreAllMocks());

  const work = (stage: StageWork, kind: WorkKind, tokens: number, seconds: number) => {
    clock += 1000 * seconds;
    stage.signal.worked!(kind, tokens);
  };

  test('is what is left of its present piece and all later ones', () => {
    const pieces: Piece[] = [
      () => ({ forward: 100 }),
      () => ({ decode: 50 }),
      () => ({ decode: 20, forward: 10 }),
    ];
    const stage = new StageWork(context(), { stage: 'evaluate', unit: 'items', total: 3 }, pieces);
    expect(stage.left()).toEqual({ forward: 110, decode: 70 });
    stage.begin(pieces[0]!);
    work(stage, 'forward', 60, 0.1);
    expect(stage.left()).toEqual({ forward: 50, decode: 70 });
    // More than expected is not less than nothing; and a piece that was begun too early or left out is over.
    work(stage, 'forward', 60, 0.1);
    expect(stage.left()).toEqual({ forward: 10, decode: 70 });
    stage.begin(pieces[2]!);
    expect(stage.left()).toEqual({ forward: 10, decode: 20 });
    stage.end();
    expect(told.at(-1)).toMatchObject({ share: 1, remaining: 0 });
    expect(() => stage.begin(() => ({}))).toThrow('not planned');
  });

  test('knows at once what is left where kinds cost differently: steps with a validation after every tenth', () => {
    const observation: Piece = () => ({ decode: 2000 });
    const training = {
      base: 500,
      steps: 30,
      step: 400,
      taken: 0,
      validates: (step: number) => step % 10 === 0,
    };
    const piece = () => trainingWork(training, observation());
    const stage = new StageWork(context(), { stage: 'amplify', unit: 'steps', total: 30 }, [piece]);
    stage.begin(piece);
    const observe = () => {
      for (let i = 0; i < 40; i++) work(stage, 'decode', 50, 0.15);
    };
    for (let i = 0; i < 5; i++) work(stage, 'forward', 100, 0.1);
    const truth = 0.5 + 4 * 6 + 30 * 0.8;
    const off: number[] = [];
    const check = () => off.push((clock / 1000 + told.at(-1)!.remaining!) / truth);
    observe();
    // Before a step was taken it is expected at twice a forward pass, which it is here.
    check();
    for (let step = 1; step <= 30; step++) {
      for (let i = 0; i < 4; i++) work(stage, 'train', 100, 0.2);
      if (step % 10 === 0) observe();
      stage.advance(step);
      check();
    }
    expect(Math.max(...off.map((ratio) => Math.abs(ratio - 1)))).toBeLessThan(0.02);
    expect(told.at(-1)).toMatchObject({ done: 30, total: 30, remaining: 0, share: 1 });
  });

  test('a resumed one begins at the share that is there', () => {
    const piece = () => ({ forward: 500 });
    const items = { stage: 'generate', unit: 'problems', total: 1000, kept: 750 };
    const stage = new StageWork(context(), items, [piece]);
    stage.begin(piece);
    work(stage, 'forward', 250, 1);
    expect(told.at(-1)).toMatchObject({ done: 750, share: 0.875 });
    expect(told.at(-1)!.remaining).toBeCloseTo(1);
  });

  test('tells often enough, and not more often than ten times a second between items', () => {
    const piece = () => ({ forward: 1000 });
    const stage = new StageWork(context(), { stage: 'localize', unit: 'traces', total: 5 }, [piece]);
    stage.begin(piece);
    for (let i = 0; i < 100; i++) work(stage, 'forward', 1, 0.02);
    expect(told.length).toBeGreaterThan(15);
    expect(told.length).toBeLessThan(22);
  });
});

describe('what is not known', () => {
  test('lengths: nothing before half of a batch has ended, then the mean; a guess gives way', () => {
    const lengths = new MeanLength(8);
    for (const length of [3, 4, 5]) lengths.add(length);
    expect(lengths.mean).toBeNaN();
    for (const length of [16, 22]) lengths.add(length);
    expect(lengths.mean).toBe(10);
    const guessed = new MeanLength(8, 100);
    expect(guessed.mean).toBe(100);
    for (let i = 0; i < 32; i++) guessed.add(50);
    expect(guessed.mean).toBe(75);
    for (let i = 0; i < 1000; i++) guessed.add(50);
    expect(guessed.mean).toBeLessThan(52);
  });

  test('rounds: a guess between the least and the most, then what was seen', () => {
    const rounds = new Rounds(3, 10);
    expect(rounds.expected).toBeGreaterThan(7);
    expect(rounds.expected).toBeLessThan(9);
    const seen = [100, 100, 100, 50, 20, 10, 5, 5, 5, 5];
    for (const [round, open] of seen.entries()) rounds.add(round, open, 100);
    expect(rounds.expected).toBeCloseTo(4);
    // A second unit is at its fourth round, and much like the first.
    for (const round of [0, 1, 2]) rounds.add(round, 100, 100);
    rounds.add(3, 50, 100);
    expect(rounds.after(3)).toBeCloseTo(1);
    expect(rounds.after(9)).toBe(0);
    expect(new Rounds(3, 0).expected).toBe(0);
    expect(new Rounds(5, 2).expected).toBe(2);
  });
});

describe('expected work is what is done', () => {
  let model: Model;
  let runners: Runners;
  let pairs: Pair[];
  let done: Partial<Record<WorkKind, number>> = {};
  const signal: Signal = {
    aborted: false,
    worked: (kind, tokens) => {
      done = sumOf([done, { [kind]: tokens }]);
    },
  };
  const texts = [
    [5, 9, 200],
    [1, 2, 3, 4, 5, 6, 7],
  ];

  beforeAll(async () => {
    model = await Model.load(checkpointFolder('llama-tied'));
    const rng = new Rng('pairs');
    const shared = Array.from({ length: 20 }, (_, i) => i + 1);
    pairs = Array.from({ length: 6 }, (_, i) => ({
      id: `pair ${i}`,
      prefix: [...shared, ...Array.from({ length: 2 + i }, () => rng.int(100))],
      ...{ desired: 20 + i, undesired: 40 + i, method: 'branching', status: 'auto' },
    }));
    runners = await makeRunners(
      model,
      pairs.map(({ prefix }) => prefix),
    );
    expect(runners.shared.sharedIds.length).toBe(20);
  });
  afterAll(() => model.release());
  beforeEach(() => {
    done = {};
  });

  test('choosing by fisher', async () => {
    const { passes, kept, ...expected } = fisherTokens(runners.shared, pairs, texts);
    expect(kept).toBe(0);
    const options = { eps: 1e-3, kinds: ['q', 'mlp'] as const };
    await fisherScores(runners.shared, pairs, texts, options, {
      ...{ plain: runners.plain, rng: new Rng(1), signal },
      onProgress: (_, total) => expect(total).toBe(passes),
    });
    expect(done).toEqual(expected);
  });

  test('a training step, and what it stays close to', async () => {
    const space = new ComponentSpace(model.config);
    const circuit: Circuit = randomCircuit(space, wholeCircuit(space), new Rng(1));
    const overlay = { ...noOverlay, deltas: circuitDeltas(model.arch, circuit, 'up') };
    const options = { ...defaultSettings.amplify, pairsPerStep: 4, controlsPerStep: 0 };
    const data = { pairs, controls: texts, traces: [] };
    const expected = objectiveTokens(runners.shared, data, options);
    const sides = { runner: runners.shared, plain: runners.plain };
    const objective = await AmplifyObjective.create(sides, overlay, data, options, signal);
    expect(done).toEqual({ forward: expected.base });
    expect(objective.stepTokens).toBe(expected.step);
    done = {};
    for (let step = 0; step < 40; step++) {
      await objective.step(overlay, step, new Rng(step), signal);
    }
    // Which pairs are drawn differs from step to step.
    expect(done.train! / (40 * expected.step)).toBeGreaterThan(0.97);
    expect(done.train! / (40 * expected.step)).toBeLessThan(1.03);
  });

  test('control items, by likelihood and by completion', async () => {
    const choice = (i: number): ControlItem => ({
      prompt: `The answer ${i} is`,
      choices: [' a', ' the one', ' of them all'],
      label: 0,
    });
    const recall = (i: number): ControlItem => ({ prompt: `He is ${i} and she`, answer: 'x' });
    const items = Array.from({ length: 30 }, (_, i) => (i % 3 ? choice(i) : recall(i)));
    const suite = SuiteWork.ofControls(model, items);
    const { forward } = suite.of(items.length);
    await evaluateControls(
      runners.plain,
      items,
      { batch: 4, maxTokens: 6 },
      {
        signal,
        onCompletion: (tokens) => suite.length.add(tokens),
      },
    );
    expect(done.forward).toBe(forward);
    // Ten completions beside a guess that weighs as much as 32.
    const guess = SuiteWork.ofControls(model, items).of(items.length).decode!;
    expect(suite.of(items.length).decode).toBeCloseTo((done.decode! * 10 + guess * 32) / 42);
  });

  test('tokens of many texts, from some of them', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `The answer ${i} is ${'so '.repeat(i % 7)}.`);
    const truth = many.reduce((sum, text) => sum + model.tokenizer.encode(text).length, 0);
    expect(estimatedTokens(model, many) / truth).toBeGreaterThan(0.95);
    expect(estimatedTokens(model, many) / truth).toBeLessThan(1.05);
    expect(estimatedTokens(model, [])).toBe(0);
  });
});
