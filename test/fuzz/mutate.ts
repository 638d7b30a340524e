/** Damage to files. Most makes a file unusable; what turns out to be harmless is drawn again (fuzz.ts). */
import fs from 'node:fs';
import type { Rng } from '../../server/random.ts';
import type { Kind } from './valid.ts';

/** Damages a file in place. */
interface Mutation {
  name: string;
  apply(file: string, rng: Rng): void;
}

const pick = <T>(rng: Rng, items: readonly T[]): T => items[rng.int(items.length)]!;

const bytes = (name: string, change: (data: Buffer, rng: Rng) => Buffer | string): Mutation => ({
  name,
  apply: (file, rng) => fs.writeFileSync(file, change(fs.readFileSync(file), rng)),
});

/** Whatever a file is. */
const anything: readonly Mutation[] = [
  { name: 'missing', apply: (file) => fs.rmSync(file) },
  bytes('empty', () => ''),
  {
    name: 'a folder in its place',
    apply: (file) => {
      fs.rmSync(file);
      fs.mkdirSync(file);
    },
  },
  bytes('noise', (data, rng) =>
    Buffer.from(Uint8Array.from(data.subarray(0, 4096), () => 128 + rng.int(128))),
  ),
];

/** Where a record or value is open: a cut there leaves something broken. */
function insideValue(data: Buffer, rng: Rng): number {
  const quotes = [...data.toString('latin1').matchAll(/[:,]"|":/g)].map((match) => match.index + 1);
  return quotes.length > 0 ? pick(rng, quotes) : Math.floor(data.length / 2);
}

const ofText: readonly Mutation[] = [
  ...anything,
  bytes('truncated', (data, rng) => data.subarray(0, insideValue(data, rng))),
  bytes('broken UTF-8', (data, rng) => splice(data, insideValue(data, rng), Buffer.from([0xff, 0xc3, 0x28]))),
  bytes('NUL bytes', (data, rng) => splice(data, insideValue(data, rng), Buffer.alloc(1 + rng.int(5000)))),
  bytes('UTF-16', (data) => Buffer.from(data.toString('utf8'), 'utf16le')),
  bytes('deep nesting', (_, rng) => pick(rng, ['[', '{"a":', '[[{"b":']).repeat(50_000 + rng.int(100_000))),
  bytes('a giant line', (_, rng) =>
    Buffer.alloc((1 + rng.int(20)) << 20, pick(rng, ['a', '"', '1', ' x', '{'])),
  ),
];

function splice(data: Buffer, at: number, inserted: Buffer): Buffer {
  return Buffer.concat([data.subarray(0, at), inserted, data.subarray(at)]);
}

/** A field and values that it must not have; a path into a JSON value. */
type Bad = readonly [path: readonly (string | number)[], values: readonly unknown[]];

const NOT_A_TEXT = [7, true, [], {}, null, ['a', 1]];
const NOT_A_COUNT = ['x', -1, 0.5, 1e308, 2 ** 53, [], {}, true];
const NOT_IDS = ['x', [-1], [0.5], ['a'], [1e9], {}, 7, [null], [[0]]];

const fields: Record<string, readonly Bad[]> = {
  config: [
    [['model_type'], ['mamba', 7, null, [], {}, 'constructor', '__proto__']],
    [['hidden_size'], [...NOT_A_COUNT, 0, 33, 1e9]],
    [['num_attention_heads'], [...NOT_A_COUNT, 0, 3, 1e9]],
    [['num_key_value_heads'], ['x', -1, 0, 0.5, 3, 1e9]],
    [['num_hidden_layers'], [...NOT_A_COUNT, 0, 1e9, 3]],
    [['intermediate_size'], [...NOT_A_COUNT, 0, 1e9]],
    [['vocab_size'], [...NOT_A_COUNT, 0, 301, 1e9]],
    [['head_dim'], ['x', -1, 0, 0.5, 7, 1e9]],
    [['rms_norm_eps'], ['x', -1, [], {}]],
    [['rope_theta'], ['x', -1, 0, [], {}]],
    [
      ['rope_scaling'],
      ['x', 7, [], { rope_type: 'odd' }, { rope_type: 'linear', factor: -1 }, { rope_type: 'llama3' }],
    ],
    [['hidden_act'], ['gelu_odd', 7, []]],
    [['tie_word_embeddings'], ['x', 7, []]],
    [['eos_token_id'], ['x', -1, 0.5, [0.5], {}, ['x']]],
    [['architectures'], ['x', ['BertModel'], 7, {}]],
    [['quantization_config'], [{ bits: 4 }, 'x']],
  ],
  'generation config': [
    [['eos_token_id'], ['x', -1, 0.5, [0.5], {}, ['x'], true]],
    [['bos_token_id'], ['x', -1, 0.5, {}, true]],
  ],
  tokenizer: [
    [['model'], [null, 'x', 7, [], {}, { type: 'Unigram', vocab: [] }, { type: 'WordPiece', vocab: {} }]],
    [
      ['model', 'vocab'],
      [null, 'x', [], 7, { a: 'x' }, { a: -1 }, { a: 0.5 }, { a: 1e300 }, { a: 1e9 }],
    ],
    [
      ['model', 'merges'],
      ['x', 7, {}, [7], [['a']], ['a b c d'], [null], [['zzz', 'qqq']]],
    ],
    [
      ['normalizer'],
      [
        'x',
        7,
        { type: 'Odd' },
        { type: 'Sequence', normalizers: 7 },
        {},
        { type: 'Replace', pattern: { Regex: '(' }, content: '' },
      ],
    ],
    [
      ['pre_tokenizer'],
      [
        'x',
        7,
        { type: 'Odd' },
        {},
        { type: 'Split', pattern: { Regex: '[' }, behavior: 'Isolated', invert: false },
        { type: 'Sequence' },
      ],
    ],
    [['decoder'], ['x', 7, { type: 'Odd' }, {}, { type: 'Sequence', decoders: 'x' }]],
    [
      ['post_processor'],
      ['x', 7, { type: 'Odd' }, {}, { type: 'TemplateProcessing', single: 7, special_tokens: [] }],
    ],
    [
      ['added_tokens'],
      [
        'x',
        7,
        {},
        [7],
        [{ id: 'x', content: 'a' }],
        [{ id: -1, content: 'a' }],
        [{ id: 1e300, content: 'a' }],
        [{ content: 7, id: 1 }],
      ],
    ],
  ],
  'tokenizer config': [],
  index: [
    [['weight_map'], [null, 'x', 7, [], {}]],
    [
      ['weight_map', 'model.norm.weight'],
      [
        'no-such.safetensors',
        '../../../etc/passwd',
        '/etc/passwd',
        7,
        null,
        '',
        'config.json',
        'model-00001-of-00002.safetensors/x',
        '\0',
      ],
    ],
  ],
  problems: [
    [['prompt'], [...NOT_A_TEXT, '']],
    [['answer'], [true, [], {}, null, 'no number', '']],
    [['id'], [true, [], {}, '', 0.5]],
    [['split'], ['odd', 7]],
  ],
  traces: [
    [['prompt_ids'], [...NOT_IDS, null]],
    [['completion_ids'], [...NOT_IDS, null]],
    [['decoding'], ['x', 7, [], { strategy: 'odd' }, null]],
    [['correct'], ['x', 7, null]],
    [['target'], ['x', [], {}]],
    [['problem_id'], [true, [], {}, null]],
  ],
  pairs: [
    [['prefix'], [...NOT_IDS, null, []]],
    [['desired'], ['x', -1, 0.5, 1e9, null, []]],
    [['undesired'], ['x', -1, 0.5, 1e9, null, []]],
    [['status'], ['odd', 7]],
    [['method'], ['odd', 7, null]],
  ],
  'localisation of the reference': [
    [
      [0, 'prefix'],
      [...NOT_A_TEXT, ''],
    ],
    [
      [0, 'desired_token'],
      ['x', -1, 0.5, 1e9, null, []],
    ],
    [
      [1, 'undesired_token'],
      ['x', -1, 0.5, 1e9, null, {}],
    ],
    [[0], [7, 'x', null, []]],
  ],
  mask: [
    [['format'], [7, null, 'x', 'circuit-amplifier-mask/9']],
    [['model'], [7, null, 'x', []]],
    [['selected'], [7, null, 'x', {}, [], [{ q: [1e9] }], [7]]],
    [
      ['selected', 0],
      [7, null, 'x', [], {}, { q: [1e9], k: [], v: [], mlp: [] }, { q: [-1] }],
    ],
    [
      ['selected', 0, 'mlp'],
      [7, null, 'x', {}, [0.5], [-1], [1e9], ['a'], [[0]], [null]],
    ],
  ],
  controls: [
    [['prompt'], NOT_A_TEXT],
    [['choices'], [null, 'x', 7, [], ['a'], [7, 8], ['a', ''], {}]],
    [['label'], ['x', -1, 2, 0.5, null, []]],
    [['suite'], [7, [], {}]],
  ],
  experiment: [
    [['model'], [7, '', 'nowhere', 'problems.jsonl', null, []]],
    [['problems'], [7, '', 'nowhere', 'model', null, [], { train: 'problems.jsonl' }]],
    [['seed'], NOT_A_COUNT],
    [['preset'], ['odd', 7, []]],
    [['device'], ['odd', 7]],
    [
      ['settings'],
      [
        7,
        'x',
        [],
        { odd: 1 },
        { mask: { lambda: -1 } },
        { mask: { select: 'odd' } },
        { amplify: { steps: 0 } },
      ],
    ],
    [
      ['settings', 'generate', 'samples'],
      ['x', -1, 0.5, 1e300],
    ],
    [['controls'], [7, 'x', [], ['nowhere'], [7]]],
    [['out'], [7, '', 'problems.jsonl', []]],
    [['odd'], [1]],
  ],
  manifest: [
    [['seed'], ['x', 99, null, []]],
    [['model'], [7, 'x', { path: '/', hash: 'x' }, []]],
    [['stages'], [7, 'x', null, { generate: { samples: 99 } }, { generate: 7 }]],
    [['data'], [7, 'x', null, { problems: 7 }, { 'generate.problems': { path: '/', hash: 'x' } }]],
    [['product'], [7, null, 'x', { name: 'x', version: '99.0.0' }]],
    [['format'], [7, 'x', 99]],
  ],
  journal: [
    [['event'], [7, null, [], {}]],
    [['stage'], [7, null, {}, []]],
    [['artefacts'], [7, null, 'x', [7], {}]],
    [['inputs'], [7, null, 'x', []]],
    [['extents'], [7, null, 'x', { 'traces.jsonl': 7 }, { 'traces.jsonl': { bytes: -1 } }]],
  ],
  gsm8k: [
    [['question'], NOT_A_TEXT],
    [['answer'], [true, [], {}, null]],
  ],
  'PTS pivots': [
    [['pivot_context'], [...NOT_A_TEXT, '']],
    [['pivot_token_id'], ['x', -1, 0.5, 1e9, null, []]],
    [['prob_after'], ['x', -1, 2, null, []]],
    [['prob_delta'], ['x', null, []]],
    [['is_positive'], ['x', 7, []]],
    [['model_id'], NOT_A_TEXT],
    [['timestamp'], NOT_A_TEXT],
    [['rejected_token_id'], ['x', -1, 0.5, 1e9, []]],
  ],
  'traces of the reference': [
    [[0], [7, 'x', null, []]],
    [
      [0, 'generated_tokens'],
      ['x', [-1], [0.5], ['a'], [1e9], {}, 7, [null], []],
    ],
    [
      [0, 'prompt_len'],
      ['x', 0, -1, 99, 0.5, null, []],
    ],
    [
      [1, 'target'],
      [true, [], {}, null, 'none'],
    ],
    [
      [1, 'correct_answer'],
      ['x', 7, null, []],
    ],
    [
      [0, 'prompt'],
      [7, true, [], {}, null],
    ],
    [
      [0, 'template_id'],
      [true, [], {}, 0.5],
    ],
  ],
  template: [
    [['question_annotated'], [...NOT_A_TEXT, 'Just this?', '{x}\n#init:\n- $x = range(\n#answer: x']],
    [
      ['question_annotated'],
      [
        '{x}\n#init:\n- $x = odd(1)\n#answer: x',
        '{x}\n#init:\n- $x = range(1)\n#conditions:\n- x > 9\n#answer: x',
        '{x}\n#init:\n- $x = range(1000000000)\n#answer: x',
        '{x}\n#init:\n- $x = range(1, 9)\n#answer: y',
        '{x}\n#init:\n- $x = range(1, 9)\n#answer: x / 0',
        `{x}\n#init:\n- $x = ${'('.repeat(20_000)}1${')'.repeat(20_000)}\n#answer: x`,
        '{x}\n#init:\n- $x = [2]\n#answer: 9 ** 9 ** 9 ** 9',
      ],
    ],
    [['answer_annotated'], [...NOT_A_TEXT, '{n +}\n#### 1', '{z}\n#### 1', '#### none', '#### 99999']],
    [['id_orig'], [true, [], {}, null, '', 0.5, 1]],
    [['id_shuffled'], [true, [], {}, null, '']],
    [['question'], [7, true, [], {}, null]],
    [['answer'], [7, true, [], {}, null]],
  ],
  triviaqa: [
    [['Data'], [7, 'x', null, {}, [], [7], [null]]],
    [['Data', 0, 'Question'], NOT_A_TEXT],
    [
      ['Data', 0, 'Answer'],
      [7, 'x', null, [], {}],
    ],
    [
      ['Data', 1, 'Answer', 'Aliases'],
      ['x', 7, [7], {}],
    ],
  ],
  truthfulqa_mc1: [
    [[0], [7, 'x', null, []]],
    [[0, 'question'], NOT_A_TEXT],
    [
      [0, 'mc1_targets'],
      [7, 'x', null, [], {}, { a: 1 }, { a: 1, b: 1 }, { a: 0, b: 0 }, { a: 'x', b: 1 }],
    ],
  ],
  multiple_choice: [
    [['prompt'], [...NOT_A_TEXT, '']],
    [['choices'], [null, 'x', 7, [], ['a'], [7, 8], ['a', ''], {}]],
    [['label'], ['x', -1, 2, 0.5, null, []]],
  ],
};

/** A JSON value with a bad value at a place of it. */
function spoil(value: unknown, [steps, bad]: Bad, rng: Rng): unknown {
  const copy = structuredClone(value);
  // biome-ignore lint/suspicious/noExplicitAny: any JSON
  let at = copy as any;
  for (const step of steps.slice(0, -1)) at = at?.[step];
  if (typeof at === 'object' && at !== null) at[steps.at(-1)!] = pick(rng, bad);
  return copy;
}

fields['config of a family'] = [
  ...fields.config!.filter(([path]) => path[0] !== 'rope_scaling'),
  [['sliding_window'], ['x', -1, 0.5, [], {}]],
  [['layer_types'], ['x', 7, ['odd', 'odd'], {}, [7, 7], []]],
  [['query_pre_attn_scalar'], ['x', -1, 0, [], {}]],
  [['final_logit_softcapping'], ['x', -1, [], {}]],
  [['rope_parameters'], ['x', 7, [], { rope_type: 'odd' }]],
];

const depth = (n: number) => '['.repeat(n) + ']'.repeat(n);

function jsonMutations(kind: Kind): Mutation[] {
  const bad = fields[kind.like ?? kind.name] ?? [];
  const whole: Mutation[] = [
    bytes('another JSON value', (_, rng) =>
      pick(rng, ['7', 'null', '"x"', 'true', '[[[]]]', '[7]', '1e999']),
    ),
    bytes('an unclosed end', (data) => data.toString('utf8').replace(/[}\]]\s*$/, '')),
  ];
  if (bad.length === 0) return [...ofText, ...whole];
  const spoiled = bytes('a bad field', (data, rng) =>
    JSON.stringify(spoil(JSON.parse(data.toString('utf8')), pick(rng, bad), rng)),
  );
  const removed = bytes('a field that is the wrong way in', (data, rng) => {
    const value = JSON.parse(data.toString('utf8'));
    const [steps] = pick(rng, bad);
    return JSON.stringify(spoil(value, [steps, [JSON.parse(depth(2000))]], rng));
  });
  const twice = bytes('a key twice, the last one bad', (data, rng) => {
    const [steps, values] =
      pick(
        rng,
        bad.filter(([path]) => path.length === 1 && typeof path[0] === 'string'),
      ) ?? bad[0]!;
    const extra = `,${JSON.stringify(steps[0])}:${JSON.stringify(pick(rng, values))}`;
    return data.toString('utf8').replace(/\}\s*$/, () => `${extra}}`);
  });
  const named = bad.some(([path]) => path.length === 1 && typeof path[0] === 'string');
  return [
    ...ofText,
    ...whole,
    spoiled,
    spoiled,
    spoiled,
    spoiled,
    spoiled,
    spoiled,
    removed,
    ...(named ? [twice, twice] : []),
  ];
}

function jsonlMutations(kind: Kind): Mutation[] {
  const bad = fields[kind.like ?? kind.name] ?? [];
  const line = (name: string, change: (text: string, rng: Rng) => string) =>
    bytes(name, (data, rng) => {
      const lines = data.toString('utf8').trimEnd().split('\n');
      // The last line may be torn; the first decides on the format.
      const at = Math.min(lines.length - 1, rng.int(2));
      lines[at] = change(lines[at]!, rng);
      return `${lines.join('\n')}\n`;
    });
  const general = [
    line('a line that is no object', (_, rng) =>
      pick(rng, ['7', 'null', '[]', '"x"', '{', '}{', 'NaN', '{"a":01}']),
    ),
    line('a line nested deeply', (_, rng) => `{"prompt":${depth(20_000 + rng.int(50_000))}}`),
    line('a line without its end', (text) => text.slice(0, -1 - Math.floor(text.length / 3))),
    line('half a surrogate and more', (text) => `${text.slice(0, 5)}\\ud800${text.slice(5)}`),
  ];
  if (bad.length === 0) return [...ofText, ...general];
  const spoiled = line('a bad field', (text, rng) =>
    JSON.stringify(spoil(JSON.parse(text), pick(rng, bad), rng)),
  );
  const twice = line('a key twice, the last one bad', (text, rng) => {
    const [steps, values] = pick(rng, bad);
    return text.replace(/\}$/, () => `,${JSON.stringify(steps[0])}:${JSON.stringify(pick(rng, values))}}`);
  });
  return [...ofText, ...general, spoiled, spoiled, spoiled, spoiled, spoiled, spoiled, twice, twice];
}

const textOf = (name: string, change: (text: string, rng: Rng) => string): Mutation =>
  bytes(name, (data, rng) => change(data.toString('utf8'), rng));

const ofTraceDocument: readonly Mutation[] = [
  ...ofText,
  textOf('a header line that is gone', (text, rng) => {
    const lines = text.split('\n');
    lines.splice(1 + rng.int(lines.indexOf('---', 1) - 1), 1);
    return lines.join('\n');
  }),
  textOf('a header value that is odd', (text, rng) =>
    text.replace(
      new RegExp(
        `^(${pick(rng, ['trace', 'target', 'correct', 'decoding', 'pivot', 'prompt_ids'])}: ).*$`,
        'm',
      ),
      (_, key: string) =>
        key + pick(rng, ['odd', '', '-1', '[1e9]', '{"a":7}', '1 2 x', '"', '99999999999999999999']),
    ),
  ),
  textOf('a pivot that lies elsewhere', (text, rng) =>
    text.replace(
      /^pivot: (\w+=)?\d+/m,
      (_, key = '') => `pivot: ${key}${pick(rng, ['0', '999', '-3', '1e9', 'x'])}`,
    ),
  ),
  textOf('another text below', (text) => `${text.slice(0, -3)}!!!`),
  textOf('no end of the header', (text) => text.replace(/\n---\n/, '\n')),
];

const ofChatTemplate: readonly Mutation[] = [
  ...ofText,
  textOf('a block that is open', (text) => text.replace('{% endfor %}', '')),
  textOf(
    'something that cannot be called',
    (text, rng) => text + pick(rng, ['{{ odd() }}', "{{ strftime_now('%Y') }}"]),
  ),
  textOf('an exception', (text) => `{{ raise_exception('no') }}${text}`),
  textOf(
    'a statement that is odd',
    (text, rng) =>
      text +
      pick(rng, [
        '{% odd %}',
        '{{ | }}',
        '{{ 1 +',
        '{% set %}',
        "{{ 'a' | odd }}",
        '{% for x in 7 %}{% endfor %}',
      ]),
  ),
  textOf('a range without end', (text) => `{% for i in range(1000000000) %}a{% endfor %}${text}`),
  textOf('braces nested deeply', (text, rng) => `{{ ${'('.repeat(10_000 + rng.int(20_000))}${text}`),
];

const ofCsv: readonly Mutation[] = [
  ...ofText,
  bytes('an open quote', (data) => `"${data}`),
  bytes('too few columns', (data) => data.toString('utf8').replace(',d,', ',')),
  bytes('another answer', (data) => data.toString('utf8').replace(/,[A-D]\n/, ',E\n')),
  bytes('a header', (data) => `question,A,B,C,D,answer\n${data}`),
];

const ofTruthful: readonly Mutation[] = [
  ...ofText,
  bytes('an open quote', (data) => `"${data}`),
  textOf('a column that is gone', (text, rng) =>
    text.replace(pick(rng, ['Question', 'Incorrect Answers']), 'Odd'),
  ),
  textOf('too few columns', (text) => text.replace(',none', '')),
  textOf('nothing but a header', (text) => text.slice(0, text.indexOf('\n') + 1)),
  textOf('no wrong answer', (text) => text.replace('No; Not it', '')),
  textOf('no question', (text) => text.replace('"Is 1 it?"', '')),
];

// biome-ignore lint/suspicious/noExplicitAny: any header
type Header = Record<string, any>;

/** Changes the header of a safetensors file, whose length is written anew. */
const header = (
  name: string,
  change: (fields: Header, tensor: string, rng: Rng) => string | undefined,
): Mutation =>
  bytes(name, (data, rng) => {
    const length = Number(data.readBigUInt64LE(0));
    const parsed = JSON.parse(data.toString('utf8', 8, 8 + length)) as Header;
    const tensor = pick(
      rng,
      Object.keys(parsed).filter((key) => key !== '__metadata__'),
    );
    const text = change(parsed, tensor, rng) ?? JSON.stringify(parsed);
    const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(head.length));
    return Buffer.concat([size, head, data.subarray(8 + length)]);
  });

const sized = (name: string, size: (length: bigint, rng: Rng) => bigint): Mutation =>
  bytes(name, (data, rng) => {
    const copy = Buffer.from(data);
    copy.writeBigUInt64LE(BigInt.asUintN(64, size(data.readBigUInt64LE(0), rng)), 0);
    return copy;
  });

const ofSafetensors: readonly Mutation[] = [
  ...anything,
  bytes('truncated', (data, rng) => data.subarray(0, 1 + rng.int(data.length - 1))),
  bytes('bits of the header flipped', (data, rng) => {
    const copy = Buffer.from(data);
    const length = Number(data.readBigUInt64LE(0));
    for (let i = 0; i < 40; i++) {
      const at = 8 + rng.int(Math.min(length, 4000));
      copy[at] = copy[at]! ^ (1 << rng.int(8));
    }
    return copy;
  }),
  sized('a header longer than the file', (length) => length + 10_000_000n),
  sized('a header of 2^63 bytes', (_, rng) => (1n << 63n) + BigInt(rng.int(100))),
  sized('a header of terabytes', (_, rng) => (1n << BigInt(40 + rng.int(20))) + 5n),
  sized('a header shorter than it is', (length, rng) => length - 1n - BigInt(rng.int(50))),
  sized('no header', () => 0n),
  header('an odd dtype', (h, t, rng) => {
    h[t].dtype = pick(rng, ['I8', 'F64', 'BOOL', 'F8_E4M3', 'x', 7, null, 'constructor']);
  }),
  header('another float dtype', (h, t) => {
    h[t].dtype = h[t].dtype === 'F32' ? 'F16' : 'F32';
  }),
  header('an odd shape', (h, t, rng) => {
    h[t].shape = pick(rng, [
      [-1, 2],
      [2 ** 40, 2 ** 40],
      [0.5],
      'x',
      null,
      [[1]],
      [1e308],
      [],
      [2 ** 53, 1],
      {},
    ]);
  }),
  header('offsets that lie', (h, t, rng) => {
    h[t].data_offsets = pick(rng, [
      [0, 1e15],
      [-8, 0],
      [8, 0],
      ['x', 1],
      [0.5, 4],
      null,
      [0],
      [2 ** 53, 2 ** 53 + 8],
      [0, 4, 8],
    ]);
  }),
  header('a tensor that is gone', (h, t) => {
    delete h[t];
  }),
  header('tensors on one another', (h, t) => {
    const other = Object.keys(h).find((key) => key !== t && key !== '__metadata__')!;
    h[t].data_offsets = h[other].data_offsets;
  }),
  header('an entry that is no object', (h, t, rng) => {
    h[t] = pick(rng, [7, null, 'x', [], {}]);
  }),
  header('a header nested deeply', (_h, _t, rng) => `{"a":${depth(20_000 + rng.int(50_000))}}`),
  header('a key twice', (h, t) =>
    JSON.stringify(h).replace(
      /\}$/,
      `,${JSON.stringify(t)}:{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`,
    ),
  ),
  header('metadata that is no map of texts', (h, _t, rng) => {
    h.__metadata__ = pick(rng, [7, 'x', [], { a: 7 }, { a: {} }]);
  }),
  header(
    'a million tensors',
    () =>
      `{${Array.from({ length: 200_000 }, (_, i) => `"t${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(',')}}`,
  ),
  bytes('weights that are NaN or infinite', (data, rng) => {
    const copy = Buffer.from(data);
    const start = 8 + Number(data.readBigUInt64LE(0));
    const at = start + 4 * rng.int(Math.floor((data.length - start) / 4));
    copy.writeFloatLE(pick(rng, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]), at);
    return copy;
  }),
];

/** The damage that a kind of file can take. */
export function mutationsOf(kind: Kind): readonly Mutation[] {
  // A text to score may be long and say anything: that is work, not damage.
  if (kind.name === 'text') return ofText.filter(({ name }) => !/^(a giant line|deep nesting)$/.test(name));
  if (kind.name === 'trace document') return ofTraceDocument;
  if (kind.name === 'chat template') return ofChatTemplate;
  if (kind.name === 'TruthfulQA CSV') return ofTruthful;
  switch (kind.form) {
    case 'json':
      return jsonMutations(kind);
    case 'jsonl':
      return jsonlMutations(kind);
    case 'csv':
      return ofCsv;
    case 'safetensors':
      return ofSafetensors;
    case 'text':
      return ofText;
  }
}
