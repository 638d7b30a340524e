/** Pivotal Token Search files (github.com/codelion/pts; Phi-4 report, arXiv 2412.08905) and DPO pairs. */
import { Fields } from './fields.ts';
import { type JsonlOptions, readJsonl, writeJsonl } from './jsonl.ts';
import { checkPrefix, type Decode, type Encode } from './pairs.ts';
import type { Pair } from './records.ts';

/** One pivotal token: taking it after `pivot_context` moves the probability of success. */
export interface Pivot {
  model_id: string;
  query: string;
  /** Text before the pivot, prompt included. */
  pivot_context: string;
  pivot_token: string;
  pivot_token_id: number;
  prob_before: number;
  prob_after: number;
  /** prob_after - prob_before */
  prob_delta: number;
  is_positive: boolean;
  task_type: string;
  dataset_id: string | null;
  dataset_item_id: string | null;
  /** Local time as yyyy-mm-ddThh:mm:ss. */
  timestamp: string;
  /** The other token at this place, where it was looked for: worse than a positive pivot, better than a negative one. */
  rejected_token?: string;
  rejected_token_id?: number;
  [extra: string]: unknown;
}

/** One preference in the form of TRL's and PTS's DPO files. */
export interface DpoRecord {
  prompt: string;
  chosen: string;
  rejected: string;
  metadata: Record<string, unknown>;
}

/**
 * Streams a file of pivots (written with `JsonlWriter<Pivot>`). Fields that the product does not know are kept.
 *
 * @throws InputError `path:line` and the field for a broken record
 */
export async function* readPivots(
  path: string,
  options: JsonlOptions & { vocab?: number } = {},
): AsyncGenerator<Pivot> {
  for await (const { where, record } of readJsonl(path, options)) {
    const fields = new Fields(where, record);
    const text = (name: string) => (fields.has(name) ? fields.id(name) : null);
    const delta = fields.number('prob_delta');
    const other = fields.has('rejected_token_id') && {
      rejected_token_id: fields.integer('rejected_token_id', 0, options.vocab),
    };
    yield {
      ...record,
      model_id: fields.string('model_id'),
      query: fields.string('query'),
      pivot_context: fields.string('pivot_context'),
      pivot_token: fields.string('pivot_token'),
      pivot_token_id: fields.integer('pivot_token_id', 0, options.vocab),
      prob_before: probability(fields, 'prob_before'),
      prob_after: probability(fields, 'prob_after'),
      prob_delta: delta,
      is_positive: fields.has('is_positive') ? fields.boolean('is_positive') : delta > 0,
      task_type: fields.string('task_type'),
      dataset_id: text('dataset_id'),
      dataset_item_id: text('dataset_item_id'),
      timestamp: fields.string('timestamp'),
      ...other,
    };
  }
}

function probability(fields: Fields, name: string): number {
  const value = fields.number(name);
  if (!(value >= 0 && value <= 1)) fields.fail(name, `is ${value}`, 'Give a probability in 0 .. 1.');
  return value;
}

/** A pivot with what follows from the rest filled in: `prob_delta`, `is_positive`, `timestamp`. */
export function makePivot(
  known: Omit<Pivot, 'prob_delta' | 'is_positive' | 'timestamp'>,
  when = new Date(),
): Pivot {
  const delta = (known.prob_after as number) - (known.prob_before as number);
  const local = new Date(when.getTime() - when.getTimezoneOffset() * 60_000);
  const timestamp = local.toISOString().slice(0, 19);
  return { ...known, prob_delta: delta, is_positive: delta > 0, timestamp } as Pivot;
}

/**
 * Pairs from pivots. A pivot gives a pair when its other token is known (`rejected_token_id`), or when the file has a
 * pivot of the opposite sign after the same context: the best positive and the worst negative one then make one pair.
 *
 * @param encode context text to ids
 * @returns the pairs in the order of the file, and how many pivots found no partner
 */
export function pairsFromPivots(
  pivots: Iterable<Pivot>,
  encode: Encode,
): { pairs: Pair[]; unpaired: number } {
  const contexts = new Map<string, Pivot[]>();
  for (const pivot of pivots) {
    const others = contexts.get(pivot.pivot_context);
    if (others) others.push(pivot);
    else contexts.set(pivot.pivot_context, [pivot]);
  }
  const pairs: Pair[] = [];
  let unpaired = 0;
  for (const [context, group] of contexts) {
    let prefix: number[] | undefined;
    const add = (desired: number, undesired: number, pivot: Pivot) => {
      const item = pivot.dataset_item_id === null ? {} : { problem_id: pivot.dataset_item_id };
      const id = `imported-${pairs.length + 1}`;
      prefix ??= checkContext(context, encode);
      pairs.push({ id, prefix, desired, undesired, ...item, method: 'imported', status: 'auto' });
    };
    const alone: Pivot[] = [];
    for (const pivot of group) {
      const other = pivot.rejected_token_id;
      if (other === undefined || other === pivot.pivot_token_id) alone.push(pivot);
      else if (pivot.is_positive) add(pivot.pivot_token_id, other, pivot);
      else add(other, pivot.pivot_token_id, pivot);
    }
    alone.sort((a, b) => b.prob_delta - a.prob_delta);
    const best = alone[0];
    const worst = alone.at(-1);
    if (best?.is_positive && worst && !worst.is_positive && best.pivot_token_id !== worst.pivot_token_id) {
      add(best.pivot_token_id, worst.pivot_token_id, best);
      unpaired += alone.length - 2;
    } else unpaired += alone.length;
  }
  return { pairs, unpaired };
}

function checkContext(context: string, encode: Encode): number[] {
  return checkPrefix(new Fields('pivots', { pivot_context: context }), 'pivot_context', encode(context));
}

/**
 * A pair as a DPO record: the prefix as prompt, each token's text as it reads after that prefix. Ids go into the
 * metadata, since text is not always exact (a token may be a part of a character).
 */
export function dpoRecord(pair: Pair, decode: Decode, metadata: Record<string, unknown> = {}): DpoRecord {
  const prompt = decode(pair.prefix);
  const after = (id: number): string => {
    const whole = decode([...pair.prefix, id]);
    return whole.startsWith(prompt) ? whole.slice(prompt.length) : decode([id]);
  };
  const { id, prefix, desired, undesired, method, status } = pair;
  const place = Object.fromEntries(
    ['problem_id', 'template_id', 'instance_id', 'trace']
      .filter((k) => pair[k] !== undefined)
      .map((k) => [k, pair[k]]),
  );
  return {
    prompt,
    chosen: after(desired),
    rejected: after(undesired),
    metadata: {
      ...metadata,
      pair: id,
      ...place,
      method,
      status,
      prompt_ids: prefix,
      chosen_id: desired,
      rejected_id: undesired,
    },
  };
}

/**
 * Writes pairs as a DPO file, atomically; rejected pairs are left out.
 *
 * @returns how many were written
 * @throws InputError if the file cannot be written
 */
export function writeDpo(
  path: string,
  pairs: Iterable<Pair>,
  decode: Decode,
  metadata: Record<string, unknown> = {},
): number {
  const kept = [...pairs].filter((pair) => pair.status !== 'rejected');
  writeJsonl(
    path,
    (function* () {
      for (const pair of kept) yield dpoRecord(pair, decode, metadata);
    })(),
  );
  return kept.length;
}
