import { createReadStream } from 'node:fs';
import { readError } from '../../data/files.ts';
import { collect } from '../../data/jsonl.ts';
import { readPairs } from '../../data/pairs.ts';
import { pairsFromPivots, readPivots } from '../../data/pts.ts';
import type { Pair } from '../../data/records.ts';
import { readLocalization } from '../../data/reference.ts';
import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';

/**
 * Pairs of a file in any of the formats read: own pairs.jsonl, PTS pivots (JSONL with pivot_context), or the reference
 * code's localisation (a JSON array).
 * @throws InputError for a broken record, or a file without pairs
 */
export async function readAnyPairs(model: Model, file: string): Promise<Pair[]> {
  const vocab = model.config.vocabSize;
  const encode = (text: string) => model.tokenizer.encode(text);
  const head = await readStart(file);
  let pairs: Pair[];
  if (/^\uFEFF?\s*\[/.test(head)) pairs = await readLocalization(file, encode, { vocab });
  else if (/^[^\n]*"pivot_context"/.test(head.trimStart())) {
    pairs = pairsFromPivots(await collect(readPivots(file, { vocab })), encode).pairs;
  } else pairs = await collect(readPairs(file, { vocab }));
  if (pairs.length > 0) return pairs;
  const remedy = 'Give pivots with rejected_token_id, or of both signs after the same context.';
  throw new InputError(file, 'no pivot has a partner to make a pair with', remedy);
}

/** The first characters of a file: enough to see what it is. */
async function readStart(file: string): Promise<string> {
  let text = '';
  try {
    for await (const chunk of createReadStream(file, { encoding: 'utf8', end: (1 << 20) - 1 })) text += chunk;
  } catch (error) {
    throw readError(file, error);
  }
  return text;
}
