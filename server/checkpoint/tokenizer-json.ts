/**
 * Reading tokenizer.json. @huggingface/tokenizers runs the normaliser, the pre-tokeniser and the BPE; where its parts
 * are known to differ from the Rust original, they are rewritten here into parts that do not, and what
 * it would approximate is refused. Post-processing and decoding are ours (tokenizer.ts, token-decoder.ts).
 */
import type { AddedToken } from './added-tokens.ts';
import { type Fields, isRecord } from './json-fields.ts';
import {
  byteFallback,
  byteLevel,
  type DecoderStep,
  fuse,
  metaspace,
  replace,
  sequence,
  spaceJoined,
  strip,
} from './token-decoder.ts';

type Json = Record<string, unknown>;

const REMEDY = 'Use a tokenizer of byte-level or SentencePiece BPE kind';

// The GPT-2 pattern of ByteLevel, with \s and \p{...} as the Rust regex engine reads them
const BYTE_LEVEL_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';

/** Parts of a pipeline may nest in a Sequence under this key. */
function parts(part: Json, key: string): unknown[] {
  return Array.isArray(part[key]) ? (part[key] as unknown[]) : [];
}

const regexSplit = (pattern: string, behavior = 'Isolated', invert = false): Json => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior,
  invert,
});

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

/** One-character class, for patterns that need "anything but this". */
const charClass = (text: string) => `[^${escaped(text)}]`;

/** Ids index arrays, so a wild one must not make a wild array; the largest vocabularies are below 2^19. */
function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < 1 << 24;
}

/** Checks the model and returns its vocabulary. @throws InputError naming the field */
export function readVocabulary(json: Fields): Map<string, number> {
  const model = json.object('model');
  if (!model) throw json.error('model', 'missing', REMEDY);
  const type = model.string('type', 'BPE');
  if (type !== 'BPE') throw model.error('type', `${JSON.stringify(type)} is not supported`, REMEDY);
  if (model.raw('continuing_subword_prefix')) {
    throw model.error('continuing_subword_prefix', 'word-piece prefixes are not supported', REMEDY);
  }
  if (model.raw('dropout')) throw model.error('dropout', 'BPE dropout is not supported', 'Set it to null');
  const vocab = model.raw('vocab');
  if (!isRecord(vocab)) throw model.error('vocab', 'not a map from tokens to ids', 'Download the file again');
  const ids = new Map<string, number>();
  const seen = new Set<number>();
  for (const [token, id] of Object.entries(vocab)) {
    if (!isTokenId(id) || seen.has(id)) {
      throw model.error(
        'vocab',
        `token ${JSON.stringify(token)} has the odd or repeated id ${id}`,
        'Correct the file',
      );
    }
    seen.add(id);
    ids.set(token, id);
  }
  checkMerges(model, ids);
  return ids;
}

function checkMerges(model: Fields, vocab: ReadonlyMap<string, number>): void {
  const merges = model.raw('merges');
  if (!Array.isArray(merges)) throw model.error('merges', 'not a list', 'Download the file again');
  merges.forEach((merge: unknown, i) => {
    const pair: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    const [left, right] = pair;
    const known = (token: unknown): token is string => typeof token === 'string' && vocab.has(token);
    if (pair.length !== 2 || !known(left) || !known(right) || !known(left + right)) {
      throw model.error(
        `merges[${i}]`,
        `${JSON.stringify(merge)} does not merge two tokens of the vocabulary into a third`,
        'Download the file again',
      );
    }
  });
}

/** The added tokens. @throws InputError naming the entry */
export function readAddedTokens(json: Fields): AddedToken[] {
  const list = json.raw('added_tokens') ?? [];
  if (!Array.isArray(list)) throw json.error('added_tokens', 'not a list', 'Download the file again');
  return list.map((entry: unknown, i) => {
    const id = isRecord(entry) ? entry.id : undefined;
    const token = isTokenId(id) ? addedToken(id, entry) : undefined;
    if (!token)
      throw json.error(`added_tokens[${i}]`, 'not a token with id and content', 'Download the file again');
    return token;
  });
}

/** An added token from its JSON form, or undefined where it is not one. */
export function addedToken(id: number, entry: unknown): AddedToken | undefined {
  if (!isRecord(entry) || typeof entry.content !== 'string') return undefined;
  const special = entry.special === true;
  return {
    id,
    content: entry.content,
    single_word: entry.single_word === true,
    lstrip: entry.lstrip === true,
    rstrip: entry.rstrip === true,
    normalized: entry.normalized === undefined ? !special : entry.normalized === true,
    special,
  };
}

/** The normaliser in a form that the library computes exactly. @throws InputError for others */
export function rewriteNormalizer(json: Fields, part: unknown = json.raw('normalizer') ?? null): Json | null {
  if (part === null) return null;
  const given: Json = isRecord(part) ? part : {};
  const { type } = given;
  switch (type) {
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
    case 'Lowercase':
    case 'Prepend':
      return given;
    case 'Replace':
      return {
        ...given,
        pattern: regexOf(given.pattern, json, 'normalizer'),
        content: String(given.content ?? '').replaceAll('$', '$$$$'), // taken literally, not as $&
      };
    case 'Sequence':
      return {
        type,
        normalizers: parts(given, 'normalizers').map((inner) => rewriteNormalizer(json, inner)),
      };
    default:
      throw json.error('normalizer', `type ${JSON.stringify(type)} is not supported`, REMEDY);
  }
}

/** {String} and {Regex} patterns, both as {Regex}. */
function regexOf(pattern: unknown, json: Fields, field: string): { Regex: string } {
  if (isRecord(pattern) && typeof pattern.Regex === 'string') return { Regex: pattern.Regex };
  if (isRecord(pattern) && typeof pattern.String === 'string') return { Regex: escaped(pattern.String) };
  throw json.error(field, 'a pattern is neither a String nor a Regex', 'Download the file again');
}

/** The pre-tokeniser in a form that the library computes exactly. @throws InputError for others */
export function rewritePreTokenizer(
  json: Fields,
  part: unknown = json.raw('pre_tokenizer') ?? null,
): Json | null {
  if (part === null) return null;
  const given: Json = isRecord(part) ? part : {};
  const { type } = given;
  switch (type) {
    case 'Sequence':
      return sequenceOf(parts(given, 'pretokenizers').map((inner) => rewritePreTokenizer(json, inner)));
    case 'ByteLevel':
      return rewriteByteLevel(given);
    case 'Metaspace':
      return rewriteMetaspace(given);
    case 'Split':
      return rewriteSplit(given, json);
    case 'Digits': // the library's \d is ASCII only; Rust's is_numeric is not
      return regexSplit(given.individual_digits === true ? '\\p{N}' : '\\p{N}+');
    case 'Punctuation':
      if ((given.behavior ?? 'Isolated') === 'Isolated') return regexSplit(PUNCTUATION);
      break;
    case 'Whitespace':
      return regexSplit('\\w+|[^\\w\\s]+', 'Removed', true);
    case 'WhitespaceSplit':
      return regexSplit('\\s+', 'Removed');
    default:
      throw json.error('pre_tokenizer', `type ${JSON.stringify(type)} is not supported`, REMEDY);
  }
  throw json.error(
    'pre_tokenizer',
    `${type} with behavior ${JSON.stringify(given.behavior)} is not supported`,
    REMEDY,
  );
}

const sequenceOf = (pretokenizers: (Json | null)[]): Json => ({ type: 'Sequence', pretokenizers });

function rewriteByteLevel(given: Json): Json {
  const steps: Json[] = [];
  if (given.add_prefix_space !== false) {
    // the library hands content to replaceAll, where $& is the match; an empty match would land inside surrogate pairs
    steps.push({ type: 'Replace', pattern: { Regex: '\\A[^ ]' }, content: ' $&' });
  }
  if (given.use_regex !== false) steps.push(regexSplit(BYTE_LEVEL_PATTERN));
  return sequenceOf([...steps, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }]);
}

function rewriteMetaspace(given: Json): Json {
  const replacement = typeof given.replacement === 'string' ? given.replacement : '\u2581';
  const scheme = given.prepend_scheme ?? (given.add_prefix_space === false ? 'never' : 'always');
  const space = { type: 'Metaspace', replacement, prepend_scheme: scheme };
  if (given.split === false) return space;
  // the library does not split at the replacement; a piece is the replacement and what follows
  return sequenceOf([
    space,
    regexSplit(`${escaped(replacement)}?${charClass(replacement)}+|${escaped(replacement)}`),
  ]);
}

function rewriteSplit(given: Json, json: Fields): Json {
  const { behavior, pattern } = given;
  const { Regex: regex } = regexOf(pattern, json, 'pre_tokenizer');
  if (behavior === 'Isolated') return regexSplit(regex); // isolated matches and gaps are the same inverted
  if (behavior === 'Removed') return regexSplit(regex, 'Removed', given.invert === true);
  const text = isRecord(pattern) && typeof pattern.String === 'string' ? pattern.String : '';
  if (given.invert !== true && [...text].length === 1) {
    const other = charClass(text);
    if (behavior === 'MergedWithPrevious') return regexSplit(`${other}*${escaped(text)}|${other}+`);
    if (behavior === 'MergedWithNext') return regexSplit(`${escaped(text)}${other}*|${other}+`);
  }
  throw json.error(
    'pre_tokenizer',
    `Split with behavior ${JSON.stringify(behavior)} is not supported here`,
    REMEDY,
  );
}

/** The decoder. @throws InputError for kinds other than those of byte-level and SentencePiece BPE */
export function readDecoder(json: Fields, part: unknown = json.raw('decoder') ?? null): DecoderStep {
  if (part === null) return spaceJoined;
  const { type, ...given } = isRecord(part) ? part : { type: undefined };
  const count = (name: string) => (typeof given[name] === 'number' ? (given[name] as number) : 0);
  switch (type) {
    case 'Sequence':
      return sequence(parts(given, 'decoders').map((inner) => readDecoder(json, inner)));
    case 'ByteLevel':
      return byteLevel;
    case 'ByteFallback':
      return byteFallback;
    case 'Fuse':
      return fuse;
    case 'Metaspace':
      return metaspace(
        typeof given.replacement === 'string' ? given.replacement : '\u2581',
        (given.prepend_scheme ?? (given.add_prefix_space === false ? 'never' : 'always')) !== 'never',
      );
    case 'Strip':
      if (typeof given.content === 'string' && given.content !== '') {
        return strip(given.content, count('start'), count('stop'));
      }
      break;
    case 'Replace': {
      const { pattern, content } = given;
      if (isRecord(pattern) && typeof pattern.String === 'string' && typeof content === 'string') {
        return replace(new RegExp(escaped(pattern.String), 'gu'), content);
      }
    }
  }
  throw json.error('decoder', `type ${JSON.stringify(type)} is not supported as it stands`, REMEDY);
}
