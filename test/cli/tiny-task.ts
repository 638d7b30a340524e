/** Files of a task for the tiny random models of test/fixtures: nothing to learn, everything to run. */
import fs from 'node:fs';
import path from 'node:path';
import { fixture } from './built.ts';

const jsonLines = (records: readonly object[]) =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

export function tinyTask(folder: string) {
  const write = (name: string, text: string) => {
    fs.writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const problems = (first: number, count: number) =>
    Array.from({ length: count }, (_, k) => first + k).map((i) => ({
      id: `p${i}`,
      template_id: `t${i % 3}`,
      prompt: `How many are ${i} and ${(i * 7) % 10} = `,
      answer: String(i % 10),
    }));
  const controls = (first: number, count: number) =>
    Array.from({ length: count }, (_, k) => first + k).map((i) =>
      i % 2
        ? { prompt: `The answer ${i} is`, choices: [' a', ' the'], label: i % 3 ? 0 : 1, suite: 'choice' }
        : { prompt: `He is ${i}`, answer: 'x', suite: 'recall' },
    );
  return {
    model: fixture('llama-tied'),
    problems: write('problems.jsonl', jsonLines(problems(0, 16))),
    val: write('val.jsonl', jsonLines(problems(20, 6))),
    test: write('test.jsonl', jsonLines(problems(30, 8))),
    unseen: write('unseen.jsonl', jsonLines(problems(40, 4))),
    controls: write('controls.jsonl', jsonLines(controls(0, 12))),
    guard: write('guard.jsonl', jsonLines(controls(20, 4))),
    text: write(
      'text.jsonl',
      jsonLines(Array.from({ length: 6 }, (_, i) => ({ text: `The answer ${i} is ${i}.` }))),
    ),
  };
}

/** Decoding settings under which the tiny model ends its completions and now and then says a number. */
export const DECODING = ['--max-tokens', '30', '--stop', '.', '--stop', 'e', '--stop', '4'];
export const SAMPLING = ['--samples', '30', '--temperature-wrong', '2', '--temperature-right', '2'];
