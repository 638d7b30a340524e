/** What a tokenizer puts before and after a single text. */
import { type Fields, isRecord } from './json-fields.ts';

export interface Affixes {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const NONE: Affixes = { before: [], after: [] };
const REMEDY = 'Save the tokenizer anew with transformers';

/**
 * Reads the post-processor. add_bos_token and add_eos_token of tokenizer_config.json are left unread: transformers
 * drops them too where it takes the pipeline from tokenizer.json, which was saved with their effect.
 * @throws InputError for kinds other than those of byte-level and SentencePiece BPE
 */
export function readAffixes(json: Fields): Affixes {
  return readPart(json, json.raw('post_processor') ?? null);
}

function readPart(json: Fields, part: unknown): Affixes {
  if (part === null) return NONE;
  const given: Record<string, unknown> = isRecord(part) ? part : {};
  switch (given.type) {
    case 'ByteLevel': // trims offsets only
      return NONE;
    case 'Sequence': {
      const list = Array.isArray(given.processors) ? given.processors : [];
      return list
        .map((inner: unknown) => readPart(json, inner))
        .reduce<Affixes>(
          (all, next) => ({ before: [...next.before, ...all.before], after: [...all.after, ...next.after] }),
          NONE,
        );
    }
    case 'RobertaProcessing':
    case 'BertProcessing':
      return { before: [pairId(json, given.cls)], after: [pairId(json, given.sep)] };
    case 'TemplateProcessing':
      return readTemplate(json, given);
    default:
      throw json.error('post_processor', `type ${JSON.stringify(given.type)} is not supported`, REMEDY);
  }
}

/** [content, id] of cls and sep. */
function pairId(json: Fields, pair: unknown): number {
  const id: unknown = Array.isArray(pair) ? pair[1] : undefined;
  if (!Number.isSafeInteger(id)) throw json.error('post_processor', 'a special token has no id', REMEDY);
  return id as number;
}

function readTemplate(json: Fields, given: Record<string, unknown>): Affixes {
  const specials = isRecord(given.special_tokens) ? given.special_tokens : {};
  const before: number[] = [];
  const after: number[] = [];
  let seen = 0;
  for (const item of Array.isArray(given.single) ? given.single : []) {
    if (isRecord(item) && isRecord(item.Sequence)) seen++;
    else if (isRecord(item) && isRecord(item.SpecialToken)) {
      const special = specials[String(item.SpecialToken.id)];
      const tokenIds: unknown = isRecord(special) ? special.ids : undefined;
      if (!Array.isArray(tokenIds) || !tokenIds.every((id) => Number.isSafeInteger(id))) {
        throw json.error(
          'post_processor',
          `special token ${JSON.stringify(item.SpecialToken.id)} has no ids`,
          REMEDY,
        );
      }
      (seen === 0 ? before : after).push(...tokenIds);
    }
  }
  if (seen !== 1)
    throw json.error('post_processor', 'its template does not hold the text exactly once', REMEDY);
  return { before, after };
}
