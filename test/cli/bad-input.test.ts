import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { build, CLI, cca, events, fixture, result, scratch } from './built.ts';
import { DECODING, SAMPLING, tinyTask } from './tiny-task.ts';

const root = scratch();
const task = tinyTask(root);
const at = (...names: string[]) => path.join(root, ...names);

beforeAll(build);

/** A copy of a model folder with one of its files changed. */
function damaged(name: string, file: string, change: (bytes: Buffer) => Buffer | string | null): string {
  const folder = at(name);
  fs.cpSync(fixture('llama-tied'), folder, { recursive: true });
  const changed = change(fs.readFileSync(path.join(folder, file)));
  if (changed === null) fs.rmSync(path.join(folder, file));
  else fs.writeFileSync(path.join(folder, file), changed);
  return folder;
}

function config(change: (fields: Record<string, unknown>) => object) {
  return (bytes: Buffer) => JSON.stringify(change(JSON.parse(bytes.toString())));
}

/** The first weight (after the header) made NaN. */
function withNaN(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.writeFloatLE(Number.NaN, 8 + Number(bytes.readBigUInt64LE(0)));
  return changed;
}

const generate = (model: string, ...more: string[]) => [
  ...['generate', '--model', model, '--problems', task.problems, '--out', at('out'), '--samples', '1'],
  ...['--max-tokens', '2', ...more],
];

describe('bad input is exit code 2 and one line that names the place and a remedy', () => {
  const lines: [string, () => string[], RegExp][] = [
    ['a model folder that is not there', () => generate(at('nowhere')), /--model: .*nowhere does not exist/],
    [
      'truncated weights',
      () => generate(damaged('cut', 'model.safetensors', (bytes) => bytes.subarray(0, bytes.length - 100))),
      /cut\/model\.safetensors/,
    ],
    [
      'weights that are NaN',
      () => generate(damaged('nan', 'model.safetensors', withNaN)),
      /nan\/model\.safetensors tensor ".*": element \[0,0\] is NaN or infinite/,
    ],
    [
      'an unknown architecture',
      () =>
        generate(
          damaged(
            'arch',
            'config.json',
            config((fields) => ({ ...fields, model_type: 'mamba' })),
          ),
        ),
      /arch\/config\.json field model_type/,
    ],
    [
      'weights of other shapes',
      () =>
        generate(
          damaged(
            'shape',
            'config.json',
            config((fields) => ({ ...fields, vocab_size: 301 })),
          ),
        ),
      /shape\/model\.safetensors tensor ".*": shape \[300,32\]/,
    ],
    [
      'no tokenizer',
      () => generate(damaged('token', 'tokenizer.json', () => null)),
      /token\/tokenizer\.json: missing/,
    ],
    [
      'an unknown flag',
      () => generate(task.model, '--sample', '3'),
      /unknown option '--sample' \(Did you mean/,
    ],
    [
      'a seed out of range',
      () => generate(task.model, '--seed', '4294967296'),
      /--seed: .*from 0 to 4294967295/,
    ],
    [
      'a folder that cannot be written',
      () => generate(task.model, '--out', path.join(task.problems, 'run')),
      /problems\.jsonl\/run: a part of the path is a file/,
    ],
    [
      'a broken line',
      () => {
        fs.writeFileSync(at('broken.jsonl'), `{"prompt":"a","answer":"1"}\n{"prompt":\n`);
        return [...generate(task.model), '--problems', at('broken.jsonl')];
      },
      /broken\.jsonl:2: is not valid JSON/,
    ],
    [
      'a device that does not work here',
      () => generate(task.model, '--device', process.platform === 'darwin' ? 'dml' : 'coreml'),
      /--device: .* does not work here: not part of ONNX Runtime/,
    ],
    [
      'a mask of another model',
      () => {
        fs.writeFileSync(at('mask.json'), '{"format":"circuit-amplifier-mask/1","selected":[],"model":"x"}');
        fs.writeFileSync(at('pairs.jsonl'), '{"prefix":[1,2],"desired":3,"undesired":4}\n');
        return [
          ...['amplify', '--model', task.model, '--pairs', at('pairs.jsonl'), '--mask', at('mask.json')],
          ...['--problems', task.val, '--out', at('out')],
        ];
      },
      /mask\.json: was learned on another checkpoint/,
    ],
    [
      'an experiment with a field that is not known',
      () => {
        fs.writeFileSync(at('e.json'), '{"model":".","problems":"problems.jsonl","modle":1}');
        return ['run', '--experiment', at('e.json'), '--out', at('out')];
      },
      /e\.json field "modle": is not known/,
    ],
  ];

  test.each(lines)('%s', async (_, line, message) => {
    const { code, stdout, stderr } = await cca([...line(), '--quiet']);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^cca[^\n]*\. [A-Z][^\n]*\n$/);
    expect(stderr).not.toContain('    at ');
    expect([code, stdout]).toEqual([2, '']);
    expect(fs.existsSync(at('out'))).toBe(false);
  });

  test('with --json stdout has the error as an event, and nothing else', async () => {
    const { code, stdout } = await cca([...generate(task.model), '--problems', at('broken.jsonl'), '--json']);
    const found = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect([code, found.at(-1).event, found.at(-1).kind]).toEqual([2, 'error', 'input']);
    expect(found.at(-1).where).toMatch(/broken\.jsonl:2$/);
  });
});

// Windows has no signals to send.
const posix = test.skipIf(process.platform === 'win32');

posix('Ctrl-C in the middle of model work ends within two seconds, with the work kept', async () => {
  // So much to decode that it would take minutes.
  const line = ['generate', '--model', task.model, '--problems', task.problems, '--out', at('long')];
  const much = ['--samples', '1000', '--counterparts', '1000', '--max-tokens', '200', '--json'];
  let sent = 0;
  const outcome = await cca([...line, ...much], {
    kill: { signal: 'SIGINT', when: '"kind":"trace"', onSent: () => (sent = performance.now()) },
  });
  expect(performance.now() - sent).toBeLessThan(2000);
  expect(outcome.code).toBe(130);
  expect(outcome.stderr).toContain('Resume with: cca generate');
  expect(JSON.parse(outcome.stdout.trimEnd().split('\n').at(-1)!).event).toBe('cancelled');
  expect(fs.existsSync(at('long', 'run.lock'))).toBe(false);
  const { stdout } = await cca(['runs', 'show', at('long')]);
  expect(stdout).toMatch(/^status +cancelled$/m);
});

posix('the program works through a link, from any folder', async () => {
  fs.mkdirSync(at('bin'));
  fs.symlinkSync(CLI, at('bin', 'cca'));
  const options = { program: at('bin', 'cca'), cwd: '/' };
  expect((await cca(['--version'], options)).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  expect((await result(['score', '--model', task.model, '--text', 'a b'], options)).scored).toBeGreaterThan(
    0,
  );
  expect(fs.statSync(CLI).mode & 0o111).toBe(0o111);
});

describe('memory', () => {
  test('is told before the model is loaded', async () => {
    const told = await events([...generate(task.model, '--limit', '1'), '--out', at('told')]);
    const text = told.flatMap((event) => (event.event === 'message' ? [event.text as string] : []));
    expect(text).toContainEqual(expect.stringMatching(/^memory: needs about \d+ MB of \d+\.\d GB/));
  });

  test.each([
    ['0.5', /needs about \d\.\d GB of memory, and there are 500 MB\. Give --batch \d+ \(about \d+ MB\)\n$/],
    ['0.1', /and there are 100 MB\. Use a smaller model or a machine with more memory\n$/],
  ])('of %s GB is refused before anything is written, with what would do', async (limit, message) => {
    const line = generate(task.model, '--max-tokens', '100000', '--quiet');
    const { code, stdout, stderr } = await cca(line, { env: { CCA_MEMORY_GB: limit } });
    expect(stderr).toMatch(message);
    expect(stderr.split('\n').length).toBe(2);
    expect([code, stdout]).toEqual([2, '']);
    expect(fs.existsSync(at('out'))).toBe(false);
  });
});

test('with --json a command prints nothing but events, on stdout alone', async () => {
  const out = at('json');
  const all = await events([
    ...['generate', '--model', task.model, '--problems', task.problems, '--out', out],
    ...[...SAMPLING, ...DECODING, '--limit', '4'],
  ]);
  for (const event of all) expect(event.event).toMatch(/^(message|stage|progress|partial|result)$/);
  expect(all.filter((event) => event.event === 'result')).toEqual([all.at(-1)]);
});
