/** What Python does with texts and random draws where the language's own ways differ: lm-evaluation-harness is Python. */

/** Python's white space (str.isspace, \s of re): unlike JavaScript's it has U+001C to U+001F and U+0085, and no U+FEFF. */
const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const LEADING = new RegExp(`^${SPACE}+`);
const TRAILING = new RegExp(`${SPACE}+$`);
const RUN = new RegExp(`${SPACE}+`, 'g');

/** str.strip() */
export const strip = (text: string): string => stripEnd(text.replace(LEADING, ''));

/** str.rstrip() */
export function stripEnd(text: string): string {
  // The expression alone would try every run of spaces inside a text.
  return TRAILING.test(text.slice(-1)) ? text.replace(TRAILING, '') : text;
}

/** re.split(r"\s+", text): its parts, the empty ones at the ends among them. */
export const splitSpace = (text: string): string[] => text.split(RUN);

/** repr() of a string. */
function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = quote;
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (character === quote || character === '\\') out += `\\${character}`;
    else if (character === '\n') out += '\\n';
    else if (character === '\r') out += '\\r';
    else if (character === '\t') out += '\\t';
    else if (character === ' ' || !/[\p{C}\p{Z}]/u.test(character)) out += character;
    else if (code <= 0xff) out += `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code <= 0xffff) out += `\\u${code.toString(16).padStart(4, '0')}`;
    else out += `\\U${code.toString(16).padStart(8, '0')}`;
  }
  return out + quote;
}

/** str() of what a task's target is: a text, an integer or a list of texts. */
export function str(value: string | number | readonly string[]): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : `[${value.map(reprString).join(', ')}]`;
}

const N = 624;

/** random.Random(seed): MT19937 (Matsumoto and Nishimura 1998) seeded by one integer, and `sample` as CPython draws. */
export class PythonRandom {
  readonly #state = new Uint32Array(N);
  #index = N;

  /** @param seed integer from 0 to 2^32 - 1 */
  constructor(seed: number) {
    const s = this.#state;
    s[0] = 19650218;
    for (let i = 1; i < N; i++) s[i] = Math.imul(1812433253, s[i - 1]! ^ (s[i - 1]! >>> 30)) + i;
    let i = 1;
    const mix = (factor: number) => Math.imul(s[i - 1]! ^ (s[i - 1]! >>> 30), factor);
    const next = () => {
      if (++i < N) return;
      s[0] = s[N - 1]!;
      i = 1;
    };
    for (let k = 0; k < N; k++) {
      s[i] = (s[i]! ^ mix(1664525)) + seed;
      next();
    }
    for (let k = 1; k < N; k++) {
      s[i] = (s[i]! ^ mix(1566083941)) - i;
      next();
    }
    s[0] = 0x80000000;
  }

  #uint32(): number {
    const s = this.#state;
    if (this.#index === N) {
      for (let k = 0; k < N; k++) {
        const y = (s[k]! & 0x80000000) | (s[(k + 1) % N]! & 0x7fffffff);
        s[k] = s[(k + 397) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.#index = 0;
    }
    let y = s[this.#index++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #below(n: number): number {
    const bits = 32 - Math.clz32(n);
    let r = this.#uint32() >>> (32 - bits);
    while (r >= n) r = this.#uint32() >>> (32 - bits);
    return r;
  }

  /** random.sample(items, k). RangeError for more than there are. */
  sample<T>(items: readonly T[], k: number): T[] {
    const n = items.length;
    if (k > n) throw new RangeError(`sample of ${k} from ${n}`);
    // Below this size a list is cheaper than a set, in CPython's reckoning; the draws differ.
    const listed = n <= 21 + (k > 5 ? 4 ** Math.ceil(Math.log(k * 3) / Math.log(4)) : 0);
    if (listed) {
      const pool = [...items];
      return Array.from({ length: k }, (_, i) => {
        const j = this.#below(n - i);
        const drawn = pool[j]!;
        pool[j] = pool[n - i - 1]!;
        return drawn;
      });
    }
    const selected = new Set<number>();
    while (selected.size < k) selected.add(this.#below(n));
    return [...selected].map((j) => items[j]!);
  }
}
