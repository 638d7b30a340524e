import fs from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { experimentSchema, readExperiment, VARIANTS } from '../../server/engine/experiment/experiment.ts';
import { planRun } from '../../server/engine/experiment/params.ts';
import { resolveSettings } from '../../server/engine/experiment/settings.ts';
import { InputError } from '../../server/errors.ts';
import { defaultSettings, paperSettings } from '../../server/pipeline/settings.ts';
import { variantNames } from '../../server/pipeline/variants.ts';
import { scratch } from '../cli/built.ts';

const root = scratch();
const file = path.join(root, 'experiment.json');
const minimal = { model: 'model', problems: 'problems.jsonl' };

beforeEach(() => {
  fs.mkdirSync(path.join(root, 'model'), { recursive: true });
  for (const name of ['problems.jsonl', 'facts.jsonl', 'text.jsonl'])
    fs.writeFileSync(path.join(root, name), '');
});

async function read(experiment: unknown) {
  fs.writeFileSync(file, JSON.stringify(experiment));
  return readExperiment(file);
}

async function refused(experiment: unknown): Promise<string> {
  const error = await read(experiment).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).not.toContain('\n');
  return error.message.replace(`${file} `, '');
}

test('the shipped schema is the one that the reader follows', async () => {
  // Short lists on one line, as the formatter wants them. `vitest -u` writes the file anew.
  const text = JSON.stringify(experimentSchema(), null, 2).replace(
    /\[\s+("[^\]]*")\s+\]/g,
    (_, items: string) => {
      return `[${items.replace(/\s+/g, ' ')}]`;
    },
  );
  await expect(`${text}\n`).toMatchFileSnapshot('../../media/experiment.schema.json');
});

describe('reader and schema agree', () => {
  type Schema = {
    type?: string;
    properties?: Record<string, Schema>;
    items?: Schema;
    anyOf?: Schema[];
    enum?: unknown[];
    minimum?: number;
    exclusiveMinimum?: number;
    maximum?: number;
    required?: string[];
  };

  /** Every bound, word list and type of the schema, with a value that it forbids and one that it allows. */
  function* cases(
    schema: Schema,
    at: string[],
  ): Generator<{ at: string[]; wrong: unknown; right?: unknown }> {
    if (schema.properties) {
      for (const [name, part] of Object.entries(schema.properties)) yield* cases(part, [...at, name]);
      yield { at: [...at, 'stranger'], wrong: 1 };
    } else if (schema.enum) {
      yield { at, wrong: 'no such word', right: schema.enum[0] };
      for (const word of schema.enum) yield { at, wrong: 0, right: word };
    } else if (schema.type === 'integer' || schema.type === 'number') {
      const { minimum, exclusiveMinimum, maximum } = schema;
      const low = minimum ?? exclusiveMinimum;
      const inside = exclusiveMinimum !== undefined ? (maximum ?? 1) : (minimum ?? 1);
      yield { at, wrong: '1', right: inside };
      if (low !== undefined)
        yield { at, wrong: exclusiveMinimum !== undefined ? low : low - 1, right: inside };
      if (maximum !== undefined) yield { at, wrong: maximum + 1, right: maximum };
      if (schema.type === 'integer') yield { at, wrong: inside + 0.5 };
    } else if (schema.type === 'array') yield { at, wrong: [] };
    else if (schema.type === 'string') yield { at, wrong: 7 };
    else if (schema.type === 'boolean') yield { at, wrong: 'yes', right: true };
    else if (!schema.anyOf)
      throw new Error(`a kind of schema that this test does not know: ${JSON.stringify(schema)}`);
  }

  /** Fields without which a part is not read at all. */
  const required: Record<string, object> = { endpoint: { url: 'http://localhost:8000', model: 'name' } };

  function withValue(at: readonly string[], value: unknown): Record<string, unknown> {
    const experiment: Record<string, unknown> = structuredClone(minimal);
    let target = experiment;
    for (const name of at.slice(0, -1)) {
      target[name] = typeof target[name] === 'object' ? target[name] : { ...required[name] };
      target = target[name] as Record<string, unknown>;
    }
    target[at.at(-1)!] = value;
    return experiment;
  }

  const all = [...cases(experimentSchema() as Schema, [])];

  test('there is a case for every setting', () => {
    const named = new Set(all.map(({ at }) => at.join('.')));
    const { seed: _, ...dcm } = paperSettings.mask as { seed: number };
    const { stop: __, ...generate } = defaultSettings.generate;
    const { guard, ...amplify } = defaultSettings.amplify;
    const { stop: ___, ...evaluate } = defaultSettings.evaluate;
    const parts = {
      generate,
      localize: defaultSettings.localize,
      amplify,
      evaluate,
    };
    for (const [stage, settings] of Object.entries({ ...parts, mask: { ...defaultSettings.mask, ...dcm } })) {
      for (const key of Object.keys(settings)) expect(named).toContain(`settings.${stage}.${key}`);
    }
    for (const key of Object.keys(guard)) expect(named).toContain(`settings.amplify.guard.${key}`);
    for (const [variant, settings] of Object.entries(defaultSettings.variants)) {
      for (const key of Object.keys(settings)) expect(named).toContain(`settings.variants.${variant}.${key}`);
    }
    expect(named).toContain('settings.generate.stop.strings');
    expect(named).toContain('settings.evaluate.stop.strings');
  });

  test.each(all.map((one) => [one.at.join('.'), one] as const))('%s', async (name, { at, wrong, right }) => {
    const message = await refused(withValue(at, wrong));
    // A list of one kind of value is refused as a whole or in its first entry.
    expect(message).toContain(`field "${name}`);
    if (right !== undefined) await read(withValue(at, right));
  });
});

describe('paths', () => {
  test('count from the folder of the file', async () => {
    const { model, problems, out } = await read({ ...minimal, out: 'runs/one' });
    expect([model, problems, out]).toEqual(
      ['model', 'problems.jsonl', 'runs/one'].map((name) => path.join(root, name)),
    );
  });

  test.each([
    [{ ...minimal, model: 'nowhere' }, 'field "model": '],
    [{ ...minimal, model: 'problems.jsonl' }, 'field "model": '],
    [{ ...minimal, problems: 'model' }, 'field "problems": '],
    [{ ...minimal, text: ['text.jsonl', 'nowhere'] }, 'field "text[1]": '],
    [
      { ...minimal, problems: { train: 'problems.jsonl', val: 'problems.jsonl' } },
      'field "problems.test": is missing',
    ],
    [{ ...minimal, problems: { templates: 'model' } }, 'field "problems.count": is missing'],
    [{ ...minimal, problems: { templates: 'nowhere', count: 1 } }, 'field "problems.templates": '],
    [{ ...minimal, chat: 'yes' }, 'field "chat": is "yes". Give an object.'],
    [{ ...minimal, chat: { date: 'today' } }, 'field "chat.date": is "today". Give YYYY-MM-DD.'],
    [{ problems: 'problems.jsonl' }, 'field "model": is missing'],
    [{ ...minimal, template: 'no place' }, 'field "template": is "no place". Put {question}'],
    [[minimal], 'is [{'],
  ])('%j', async (experiment, message) => {
    expect(await refused(experiment)).toContain(message);
  });

  test('what is not JSON names the line', async () => {
    fs.writeFileSync(file, '{\n  "model": "model",\n  oops\n}');
    await expect(readExperiment(file)).rejects.toThrow(/experiment\.json.*is not valid JSON/);
  });
});

describe('the plan of a run', () => {
  test('one problem file is taken by its splits; suites are named after their files', async () => {
    const plan = planRun(await read({ ...minimal, controls: ['facts.jsonl'], limit: 3 }));
    const from = path.join(root, 'problems.jsonl');
    expect(plan.problems).toEqual({
      train: { file: from, split: 'train', limit: 3 },
      validation: { file: from, split: 'val', limit: 3 },
      test: { file: from, split: 'test', limit: 3 },
      further: {},
    });
    expect(plan.controls).toEqual([{ path: path.join(root, 'facts.jsonl'), name: 'facts' }]);
    expect([plan.watch, plan.text]).toEqual([null, null]);
    expect(plan.settings).toEqual(defaultSettings);
  });

  test('files of their own are taken whole', async () => {
    const problems = {
      train: 'problems.jsonl',
      val: 'problems.jsonl',
      test: 'problems.jsonl',
      unseen: 'text.jsonl',
    };
    const controls = { test: ['facts.jsonl'], guard: [{ path: 'facts.jsonl', name: 'watched' }] };
    const plan = planRun(await read({ ...minimal, problems, controls, text: ['text.jsonl'] }));
    expect(plan.problems.train.split).toBeNull();
    expect(plan.problems.further).toEqual({
      unseen: { file: path.join(root, 'text.jsonl'), split: null, limit: null },
    });
    expect(plan.watch).toEqual([{ path: path.join(root, 'facts.jsonl'), name: 'watched' }]);
    expect(plan.text).toEqual([path.join(root, 'text.jsonl')]);
  });

  test('a chat is true, or tells of its turns', async () => {
    const chat = async (value?: unknown) =>
      planRun(await read(value === undefined ? minimal : { ...minimal, chat: value })).prompts.chat;
    expect([await chat(), await chat(false)]).toEqual([null, null]);
    expect(await chat(true)).toEqual({ system: null, date: null });
    expect(await chat({ system: 'Be brief.' })).toEqual({ system: 'Be brief.', date: null });
    expect(await chat({ date: '2025-01-31' })).toEqual({ system: null, date: '2025-01-31' });
  });

  test('templates give every split fresh instances', async () => {
    const plan = planRun(await read({ ...minimal, problems: { templates: 'model', count: 9 } }));
    const from = path.join(root, 'model');
    expect(plan.problems.validation).toEqual({ file: from, instances: 9, split: 'val', limit: null });
    expect(plan.problems.train).toEqual({ ...plan.problems.validation, split: 'train' });
    expect(plan.problems.test).toEqual({ ...plan.problems.validation, split: 'test' });
  });

  test('what is given beside the file comes first, field by field', async () => {
    const settings = { generate: { samples: 4, topK: 7 }, amplify: { steps: 9, guard: { maxDrop: 2 } } };
    const given = { generate: { samples: 5 }, amplify: { guard: { maxKl: 3 } } };
    const plan = planRun(await read({ ...minimal, settings }), given);
    expect(plan.settings.generate).toEqual({ ...defaultSettings.generate, samples: 5, topK: 7 });
    expect(plan.settings.amplify).toEqual({
      ...defaultSettings.amplify,
      steps: 9,
      guard: { maxDrop: 2, maxKl: 3 },
    });
  });
});

describe('settings', () => {
  test('presets', () => {
    expect(resolveSettings('default')).toEqual(defaultSettings);
    expect(resolveSettings('paper')).toEqual(paperSettings);
  });

  test("the other selection keeps this preset's size", () => {
    expect(resolveSettings('default', { mask: { select: 'dcm' } }).mask).toEqual({
      ...paperSettings.mask,
      budget: defaultSettings.mask.budget,
    });
    expect(resolveSettings('paper', { mask: { select: 'fisher' } }).mask).toEqual(defaultSettings.mask);
  });

  test('a lambda takes the place of a budget', () => {
    const { mask } = resolveSettings('default', { mask: { select: 'dcm', lambda: 0.5 } });
    expect(mask).toMatchObject({ lambda: 0.5, budget: null });
    expect(resolveSettings('paper', { mask: { budget: 20 } }).mask).toMatchObject({
      select: 'dcm',
      budget: 20,
    });
  });

  test.each([
    ['default', { lambda: 1 }, 'lambda has no meaning with select fisher'],
    ['paper', { eps: 1 }, 'eps has no meaning with select dcm'],
    ['paper', { lambda: 1, budget: 5 }, 'has both a lambda and a budget'],
  ] as const)('%s %j', (preset, mask, message) => {
    expect(() => resolveSettings(preset, { mask })).toThrow(message);
  });
});

test('the words for variants are those of the pipeline', () => {
  expect(VARIANTS).toEqual(variantNames);
});
