import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { COMMANDS } from '../../server/cli/commands/index.ts';
import { flagOf, type OptionSet } from '../../server/cli/options.ts';
import { type Call, cca, recorder, workspace } from './harness.ts';

const root = workspace();
const at = (name: string) => path.join(root, name);
const model = ['--model', at('model')];
const out = ['--out', at('out')];
const generate = ['generate', ...model, '--problems', at('problems.jsonl'), ...out];
const mask = ['mask', ...model, '--pairs', at('pairs.jsonl'), ...out];
const amplify = [
  ...['amplify', ...model, '--pairs', at('pairs.jsonl'), '--mask', at('mask.json')],
  ...['--problems', at('problems.jsonl'), ...out],
];
const text = ['--text', at('facts.jsonl')];
const evaluate = ['evaluate', ...model, '--problems', at('problems.jsonl'), ...out];

async function accepted(line: string[]): Promise<Call> {
  const calls: Call[] = [];
  const { code, stderr } = await cca(line, recorder(calls));
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return calls[0]!;
}

async function refused(line: string[]): Promise<string> {
  const calls: Call[] = [];
  const { code, stdout, stderr } = await cca(line, recorder(calls));
  expect(calls).toEqual([]);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^cca[^\n]*\n$/);
  expect(stderr).not.toContain('    at ');
  return stderr;
}

describe('bad usage is one line and exit code 2', () => {
  test.each([
    [[], 'a command is missing'],
    [['ampify'], "unknown command 'ampify' (Did you mean amplify?)"],
    [['runs'], 'cca runs: a command is missing'],
    [['runs', 'destroy'], "unknown command 'destroy'"],
    [[...generate, '--sample', '3'], "unknown option '--sample' (Did you mean --samples?)"],
    [[...generate, '--samples'], "option '--samples <N>' argument missing"],
    [['generate', ...model, ...out], 'needs --problems FILE'],
    [['generate', '--problems', at('problems.jsonl'), ...out], 'needs --model DIR'],
    [['generate', ...model, '--problems', at('problems.jsonl')], 'needs --out DIR'],
    [[...generate, 'extra'], 'too many arguments'],
    [['runs', 'show'], "missing required argument 'run'"],
    [['runs', 'show', at('absent')], 'cca runs show: run: '],
    [[...generate, '--resume', '--fresh'], '--resume: excludes --fresh'],
    [['run', ...model, ...out], 'needs --problems'],
    [['score', ...model], 'needs either --text or --file'],
    [['score', ...model, '--text', 'a', '--file', at('mask.json')], 'needs either --text or --file'],
    [['score', ...model, '--text', ''], '--text: the value is empty'],
    [[...mask], '--select: fisher needs control text'],
    [[...mask, '--select', 'dcm', '--lambda', '1', '--budget', '5'], '--lambda: excludes --budget'],
    [[...mask, ...text, '--epochs', '5'], 'fisher trains no mask, so --epochs'],
    [[...mask, ...text, '--mask-lr', '1'], 'fisher trains no mask, so --mask-lr'],
    [[...amplify, '--max-drop', '1', '--unguarded'], '--max-drop: excludes --unguarded'],
    [[...amplify, '--max-kl', '1', '--unguarded'], '--max-kl: excludes --unguarded'],
    [[...amplify, '--kl-control', '1'], 'there is no control text'],
    [[...amplify, '--kl-traces', '1'], 'there are no traces'],
    [
      [...amplify, '--watch', at('facts.jsonl'), '--watch', `${at('mask.json')}=facts`],
      '--watch: two suites are called facts',
    ],
    [
      [...evaluate, '--controls', at('facts.jsonl'), '--controls', `${at('mask.json')}=facts`],
      '--controls: two suites are called facts',
    ],
    [['export', '--format', 'dpo', ...model, ...out], 'dpo needs --pairs'],
    [['export', '--format', 'peft', ...model, ...out], 'peft needs --patch'],
    [[...generate, '--system', 'Be brief.'], '--system: has no meaning in plain prompts. Add --chat.'],
    [[...evaluate, '--chat-date', '2025-01-31'], '--chat-date: has no meaning in plain prompts'],
    [[...generate, '--chat', '--chat-date', '31.1.2025'], '--chat-date: "31.1.2025" is no date'],
    [
      ['benchmark', ...model, '--task', 'gsm8k', '--data', at('problems.jsonl'), '--single-turn', ...out],
      '--single-turn: has no meaning in plain prompts',
    ],
    [[...evaluate, '--scale', '2'], '--scale: has no meaning'],
    [[...evaluate, '--against', at('patch.safetensors')], '--against: has no meaning'],
    [['diff', ...model, '--problems', at('problems.jsonl')], 'both sides are the same'],
    [['diff', ...model, '--problems', at('problems.jsonl'), '--base-scale', '2'], '--base-scale: has no'],
  ])('%j', async (line, message) => {
    expect(await refused(line)).toContain(message);
  });
});

describe('values out of range are refused with the range', () => {
  test.each([
    ['--seed', '-1', 'from 0 to 4294967295'],
    ['--seed', '4294967296', 'from 0 to 4294967295'],
    ['--seed', '1.5', 'an integer'],
    ['--seed', '0x10', 'an integer'],
    ['--seed', '', 'an integer'],
    ['--seed', '٣', 'an integer'],
    ['--samples', '-1', 'from 0 to 1000'],
    ['--samples', '1e2', 'an integer'],
    ['--limit', '0', 'from 1'],
    ['--limit', '99999999999999999999', 'from 1'],
    ['--threads', '0', 'from 1 to 1024'],
    ['--temperature-wrong', '0', 'above 0 up to 10'],
    ['--temperature-right', '10.5', 'above 0 up to 10'],
    ['--temperature-right', 'NaN', 'a number'],
    ['--temperature-right', 'Infinity', 'a number'],
    ['--top-p', '1.01', 'above 0 up to 1'],
    ['--top-p', '0,9', 'a number'],
    ['--device', 'gpu', 'auto, cpu, cuda'],
    ['--few-shot', at('absent'), 'does not exist'],
    ['--few-shot', at('model'), 'is a folder'],
    ['--model', at('mask.json'), 'is not a folder'],
    ['--out', at('mask.json'), 'is a file'],
    ['--stop', '', 'the value is empty'],
  ])('%s %s', async (flag, value, message) => {
    const stderr = await refused([...generate, flag, value]);
    expect(stderr).toContain(`cca generate: ${flag}: `);
    expect(stderr).toContain(message);
  });

  test.each(['0', '-1', '1.0', '1.5', '100%', '0%', '', 'x', '1e400', '%'])('--budget %s', async (value) => {
    const stderr = await refused([...mask, ...text, '--budget', value]);
    expect(stderr).toContain('is neither a share nor a count');
  });

  test('a value with line breaks still makes one line', async () => {
    expect(await refused([...generate, '--seed', '1\n2'])).toContain('"1\\n2"');
  });
});

describe('values', () => {
  test('defaults, and which options the user typed', async () => {
    const { command, values, given } = await accepted([...generate, '--samples', '3']);
    expect(command).toBe('generate');
    expect(given.sort()).toEqual(['model', 'out', 'problems', 'samples']);
    expect(values).toEqual({
      model: at('model'),
      problems: at('problems.jsonl'),
      out: at('out'),
      device: 'auto',
      threads: undefined,
      split: undefined,
      limit: undefined,
      preset: 'default',
      samples: 3,
      // What is not given is the preset's.
      counterparts: undefined,
      temperatureWrong: undefined,
      temperatureRight: undefined,
      topP: undefined,
      topK: undefined,
      maxTokens: undefined,
      stop: [],
      batch: undefined,
      fewShot: undefined,
      chat: false,
      lean: false,
      seed: 0,
      resume: false,
      fresh: false,
    });
  });

  test('limits are included, exponents are read', async () => {
    const line = ['--seed', '4294967295', '--top-p', '1', '--temperature-wrong', '1e-3', '--samples', '0'];
    const { values } = await accepted([...generate, ...line]);
    expect(values).toMatchObject({ seed: 4294967295, topP: 1, temperatureWrong: 0.001, samples: 0 });
  });

  test('repeated options are collected; files may be named', async () => {
    const { values } = await accepted([...generate, '--stop', '\n', '--stop', 'Q:']);
    expect(values.stop).toEqual(['\n', 'Q:']);
    const named = ['--controls', at('a=b.jsonl'), '--controls', `${at('facts.jsonl')}=recall`];
    const call = await accepted([...evaluate, ...named]);
    expect(call.values.controls).toEqual([
      { path: at('a=b.jsonl'), name: 'a=b' },
      { path: at('facts.jsonl'), name: 'recall' },
    ]);
  });

  test.each([
    ['0.01', { fraction: 0.01 }],
    ['1.5%', { fraction: 0.015 }],
    ['1', { count: 1 }],
    ['25', { count: 25 }],
  ])('--budget %s', async (value, budget) => {
    const { values } = await accepted([...mask, ...text, '--budget', value]);
    expect(values.budget).toEqual(budget);
  });

  test('an experiment file may bring what `run` needs', async () => {
    const { command } = await accepted(['run', '--experiment', at('mask.json')]);
    expect(command).toBe('run');
  });
});

describe('help', () => {
  const texts = new Map<string, string>();

  beforeAll(async () => {
    for (const name of ['', ...Object.keys(COMMANDS)]) {
      const { code, stdout, stderr } = await cca(
        [...name.split(' ').filter(Boolean), '--help'],
        recorder([]),
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      texts.set(name, stdout.replace(/\s+/g, ' '));
    }
  });

  test('`cca --help` names every command and the exit codes', () => {
    for (const name of Object.keys(COMMANDS)) expect(texts.get('')).toContain(` ${name.split(' ')[0]} `);
    expect(texts.get('')).toContain('2 bad usage or input');
  });

  test.each(Object.entries(COMMANDS))(
    '`cca %s --help` names every option with its range and default',
    (name, spec) => {
      const text = texts.get(name)!;
      for (const [key, option] of Object.entries(spec.options as OptionSet)) {
        expect(text).toContain(`${flagOf(key)} `);
        expect(text).toContain(option.summary.replace(/\s+/g, ' '));
        expect(text).toContain(option.range);
        if (option.fallbackText) expect(text).toContain(`default: ${option.fallbackText}`);
      }
      for (const flag of ['--json', '--quiet', '--debug']) expect(text).toContain(flag);
    },
  );

  test('the ranges are said', () => {
    expect(texts.get('generate')).toContain('(number above 0 up to 10; default: 0.8; reference: 1)');
    expect(texts.get('generate')).toContain('(integer from 1 to 1000000, in tokens; default: 256)');
    expect(texts.get('generate')).toContain('(integer from 0 to 4294967295; default: 0)');
    expect(texts.get('generate')).toContain('(integer from 1 to 1000; default: 3; paper: 1)');
    expect(texts.get('amplify')).toContain('(number above 0 up to 1000; default: 0.005; paper: 0.0001)');
  });

  test('only commands that can be carried out are offered', async () => {
    const { stdout } = await cca(['--help'], { devices: async () => ({ data: {}, text: '' }) });
    expect(stdout).toContain('devices');
    expect(stdout).not.toContain('amplify');
    const { code, stderr } = await cca(['amplify'], { devices: async () => ({ data: {}, text: '' }) });
    expect([code, stderr]).toEqual([2, "cca: unknown command 'amplify'. See cca --help.\n"]);
  });

  test('--version', async () => {
    expect(await cca(['--version'], recorder([]))).toEqual({ code: 0, stdout: '1.2.3\n', stderr: '' });
  });
});
