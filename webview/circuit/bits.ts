/** A set of flat positions below `size`, one bit each. Never changed after it is made. */
export class Bits {
  readonly size: number;
  readonly count: number;
  private readonly words: Uint32Array;

  private constructor(size: number, words: Uint32Array) {
    this.size = size;
    this.words = words;
    let count = 0;
    for (let i = 0; i < words.length; i++) count += ones(words[i]!);
    this.count = count;
  }

  static empty(size: number): Bits {
    return new Bits(size, new Uint32Array(Math.ceil(size / 32)));
  }

  /** Positions outside the set's size are left out. */
  static of(size: number, positions: Iterable<number>): Bits {
    const words = new Uint32Array(Math.ceil(size / 32));
    for (const i of positions) if (i >= 0 && i < size) words[i >>> 5]! |= 1 << (i & 31);
    return new Bits(size, words);
  }

  /** Positions within ranges [first, length] that are accepted, asked for in order. */
  static inRanges(
    size: number,
    ranges: Iterable<readonly [number, number]>,
    accepts: (position: number) => boolean,
  ): Bits {
    const words = new Uint32Array(Math.ceil(size / 32));
    for (const [first, length] of ranges) {
      for (let i = first; i < first + length; i++) if (accepts(i)) words[i >>> 5]! |= 1 << (i & 31);
    }
    return new Bits(size, words);
  }

  has(position: number): boolean {
    return ((this.words[position >>> 5]! >>> (position & 31)) & 1) === 1;
  }

  /** Members from `first` on, `length` positions. */
  countIn(first: number, length: number): number {
    let count = 0;
    let i = first;
    const end = first + length;
    while (i < end && (i & 31) !== 0) count += Number(this.has(i++));
    for (; i + 32 <= end; i += 32) count += ones(this.words[i >>> 5]!);
    while (i < end) count += Number(this.has(i++));
    return count;
  }

  /** The set with whole ranges [first, length] put in or taken out. */
  with(ranges: Iterable<readonly [number, number]>, member: boolean): Bits {
    const words = this.words.slice();
    for (const [first, length] of ranges) {
      for (let i = first; i < first + length; i++) {
        if (member) words[i >>> 5]! |= 1 << (i & 31);
        else words[i >>> 5]! &= ~(1 << (i & 31));
      }
    }
    return new Bits(this.size, words);
  }

  inverted(): Bits {
    const words = this.words.map((word) => ~word);
    const rest = this.size & 31;
    if (rest > 0) words[words.length - 1]! &= (1 << rest) - 1;
    return new Bits(this.size, words);
  }

  equals(other: Bits): boolean {
    return this.size === other.size && this.words.every((word, i) => word === other.words[i]);
  }

  /** Members of both, of this alone and of the other alone. */
  compare(other: Bits): { common: number; added: number; removed: number } {
    let common = 0;
    for (let i = 0; i < this.words.length; i++) common += ones(this.words[i]! & other.words[i]!);
    return { common, added: this.count - common, removed: other.count - common };
  }

  /** Base64 of the words, little-endian. */
  encode(): string {
    const bytes = new Uint8Array(this.words.buffer);
    let text = '';
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    return btoa(text);
  }

  /** The empty set where the text is not one of this size. */
  static decode(size: number, base64: string): Bits {
    const words = new Uint32Array(Math.ceil(size / 32));
    const bytes = new Uint8Array(words.buffer);
    const text = base64.length % 4 === 0 && /^[\w+/]*=*$/.test(base64) ? atob(base64) : '';
    if (text.length !== bytes.length) return Bits.empty(size);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return new Bits(size, words);
  }

  /** Ascending. */
  positions(): number[] {
    const out: number[] = [];
    for (let w = 0; w < this.words.length; w++) {
      for (let word = this.words[w]!; word !== 0; word &= word - 1) {
        out.push(w * 32 + 31 - Math.clz32(word & -word));
      }
    }
    return out;
  }
}

/** Bits that are set in a 32-bit word. */
function ones(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return (((n + (n >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
