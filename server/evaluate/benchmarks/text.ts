import { type Doc, readTextDocs } from '../../data/benchmark-docs.ts';
import { splitSpace } from '../python.ts';
import type { Metric, TextTask } from './task.ts';

const perplexity = (name: string): Metric => ({
  name,
  aggregation: 'weighted_perplexity',
  higherIsBetter: false,
});

const common = {
  output: 'loglikelihood_rolling',
  metrics: [
    perplexity('word_perplexity'),
    perplexity('byte_perplexity'),
    { name: 'bits_per_byte', aggregation: 'bits_per_byte', higherIsBetter: false },
    // Beside the harness's: it depends on the tokenizer, so it compares only models that share one.
    perplexity('token_perplexity'),
  ],
  shots: 0,
  sampler: 'first',
  text: () => '',
  delimiter: '',
} as const;

const counts = (text: string) => ({ words: splitSpace(text).length, bytes: Buffer.byteLength(text) });

/** Perplexity of one's own texts, as the harness defines it for any text (loglikelihood_rolling). */
export const text: TextTask = {
  ...common,
  name: 'text',
  version: 1,
  definition: 'loglikelihood_rolling of lm-evaluation-harness on the text as it is',
  data: 'JSONL of text, or any other file as one text',
  read: (file) => readTextDocs(file, 'text'),
  answer: (doc) => doc.text as string,
  target: (doc) => doc.text as string,
  count: (doc) => counts(doc.text as string),
};

/** WikiText-2 by document (Merity et al., arXiv 1609.07843) as the harness's wikitext, version 2. */
export const wikitext: TextTask = {
  ...common,
  name: 'wikitext',
  version: 2,
  definition: 'lm-evaluation-harness wikitext',
  data: 'JSONL of page, or any other file as one page',
  read: (file) => readTextDocs(file, 'page'),
  answer: detokenize,
  target: detokenize,
  // Of the page before its spaces are taken out.
  count: (doc) => counts(doc.page as string),
};

const S = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]*';
const BRACKETS: readonly [RegExp, string][] = [
  [new RegExp(`\\(${S}([^)]*?)${S}\\)`, 'g'), '($1)'],
  [new RegExp(`\\[${S}([^\\]]*?)${S}\\]`, 'g'), '[$1]'],
  [new RegExp(`{${S}([^}]*?)${S}}`, 'g'), '{$1}'],
  [new RegExp(`"${S}([^"]*?)${S}"`, 'g'), '"$1"'],
  [new RegExp(`'${S}([^']*?)${S}'`, 'g'), "'$1'"],
];

/** WikiText's spaces around punctuation taken out, in the order in which the harness does it. */
function detokenize(doc: Doc): string {
  let page = (doc.page as string)
    .replaceAll("s '", "s'")
    // Never matches in practice: the harness's pattern has literal slashes.
    .replace(/\/' [0-9]\//g, "/'[0-9]/")
    .replaceAll(' @-@ ', '-')
    .replaceAll(' @,@ ', ',')
    .replaceAll(' @.@ ', '.');
  for (const mark of [':', ';', '.', '!', '?', ',']) page = page.replaceAll(` ${mark} `, `${mark} `);
  for (const [pattern, replacement] of BRACKETS) page = page.replace(pattern, replacement);
  return page
    .replaceAll('= = = =', '====')
    .replaceAll('= = =', '===')
    .replaceAll('= =', '==')
    .replaceAll(' \u00b0 ', '\u00b0')
    .replaceAll(' \n', '\n')
    .replaceAll('\n ', '\n')
    .replaceAll(' N ', ' 1 ')
    .replaceAll(" 's", "'s");
}
