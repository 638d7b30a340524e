import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TextDocument } from 'vscode-languageserver-textdocument';
import { loadTokenizer, type Tokenizer } from '../../server/checkpoint/tokenizer.ts';
import { extractAnswer, isCorrect } from '../../server/data/answers.ts';
import type { Pair, Trace } from '../../server/data/records.ts';
import { printTraceDocument } from '../../server/data/trace-print.ts';
import { OpenTrace } from '../../server/language/open-trace.ts';
import type { Rng } from '../../server/random.ts';

const root = path.resolve(import.meta.dirname, '../..');
const demoModel = path.join(root, 'media/demo/model');
export const demo = loadTokenizer(demoModel);

/** Tokenizers with the pipelines of known families, by name; byte-level ones cut every emoji in four. */
export function families(): Map<string, Tokenizer> {
  const all = ['byte-level', 'sentencepiece'].flatMap((kind) => {
    const file = path.join(root, `test/checkpoint/fixtures/tokenizers-${kind}.json`);
    const read = JSON.parse(readFileSync(file, 'utf8')) as {
      families: Record<string, { tokenizer: unknown; config: unknown }>;
    };
    return Object.entries(read.families);
  });
  return new Map(
    all.map(([name, { tokenizer, config }]) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'family-'));
      writeFileSync(path.join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
      writeFileSync(path.join(folder, 'tokenizer_config.json'), JSON.stringify(config));
      const loaded = loadTokenizer(folder);
      rmSync(folder, { recursive: true });
      return [name, loaded];
    }),
  );
}

/** A trace of two texts. */
export function traceOf(
  tokenizer: Tokenizer,
  prompt: string,
  completion: string,
  more: Partial<Trace> = {},
): Trace {
  const completion_ids = tokenizer.encode(completion, { addSpecialTokens: false });
  const answer = extractAnswer(completion);
  const target = more.target ?? 27;
  return {
    id: 'train-17/sample-0',
    problem_id: 'train-17',
    target,
    prompt_ids: tokenizer.encode(prompt),
    completion_ids,
    decoding: { strategy: 'greedy' },
    text: completion,
    answer,
    correct: isCorrect(answer, target),
    truncated: false,
    ...more,
  };
}

/** A pair at the token `at` of a trace's completion, whose own token is undesired. */
export function pairAt(trace: Trace, at: number, desired: number, more: Partial<Pair> = {}): Pair {
  return {
    id: `${trace.id}/branching`,
    prefix: [...trace.prompt_ids, ...trace.completion_ids.slice(0, at)],
    desired,
    undesired: trace.completion_ids[at]!,
    problem_id: trace.problem_id,
    method: 'branching',
    trace: trace.id,
    status: 'auto',
    ...more,
  };
}

export const opened = (
  text: string,
  tokenizer: Tokenizer | null = demo,
  uri = 'file:///runs/first/documents/one.trace',
): OpenTrace => new OpenTrace(TextDocument.create(uri, 'cca-trace', 1, text), tokenizer);

/** The document of the sample below: a wrong answer, and one pivot at its " 4". */
const PROMPT = 'Tom has 36 boxes. He gives 9 boxes to Ann. How many boxes does Tom have left?\nSolution:';
const COMPLETION = ' 36 + 9 = 45 boxes.\nThe answer is 45.';

export function sample(more: Partial<Trace> = {}) {
  const trace = traceOf(demo, PROMPT, COMPLETION, more);
  const plus = demo.encode(' +', { addSpecialTokens: false })[0]!;
  const minus = demo.encode(' -', { addSpecialTokens: false })[0]!;
  const at = trace.completion_ids.indexOf(plus);
  const pair = pairAt(trace, at, minus);
  const places = { model: '../../../media/demo/model', run: '..' };
  const text = printTraceDocument(trace, [pair], demo, places);
  return { trace, pair, text, token: pair.prefix.length, plus, minus };
}

const HOSTILE = [
  'The answer is 7.',
  '\n',
  '\n\n',
  '\r\n',
  '\t',
  '---\n',
  '---',
  '# no comment\n',
  'key: value\n',
  '😀',
  '👨‍👩‍👧‍👦',
  '中文字符',
  'の答え',
  'é',
  'e\u0301',
  ' ',
  '  ',
  '`code`',
  '|',
  '"',
  '\\',
  '\u0000',
  '\u001b[31m',
  '\u2028',
  '\u0085',
  '\ufeff',
  '\u202e',
  'עברית',
  '12 345',
  '<s>',
  '</s>',
  'pivot: token=1\n',
];

/** A text of hostile parts. */
export const hostileText = (rng: Rng, parts: number): string =>
  Array.from({ length: parts }, () => HOSTILE[rng.int(HOSTILE.length)]!).join('');
