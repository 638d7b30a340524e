/** UTF-8 with the position of every byte: tokens may begin and end inside a character. */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/** The text of valid UTF-8, or undefined. */
export function decodeStrict(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Decodes with U+FFFD for every maximal invalid part (the WHATWG rule, which is Rust's from_utf8_lossy too).
 * @returns complete[b] = UTF-16 length of the characters that end within the first b bytes
 */
export function decodeLossy(bytes: Uint8Array): { text: string; complete: Uint32Array } {
  const complete = new Uint32Array(bytes.length + 1);
  let units = 0;
  for (let i = 0; i < bytes.length; ) {
    const { length, valid } = sequenceAt(bytes, i);
    for (let k = 1; k < length; k++) complete[i + k] = units;
    units += valid && length === 4 ? 2 : 1;
    i += length;
    complete[i] = units;
  }
  return { text: decoder.decode(bytes), complete };
}

/** Length of the character at i, or of the invalid part that one U+FFFD replaces (Unicode table 3-7). */
function sequenceAt(bytes: Uint8Array, i: number): { length: number; valid: boolean } {
  const lead = bytes[i]!;
  if (lead < 0x80) return { length: 1, valid: true };
  if (lead < 0xc2 || lead > 0xf4) return { length: 1, valid: false };
  const wanted = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (let k = 1; k < wanted; k++) {
    const low = k === 1 ? (lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80) : 0x80;
    const high = k === 1 ? (lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf) : 0xbf;
    const byte = bytes[i + k];
    if (byte === undefined || byte < low || byte > high) return { length: k, valid: false };
  }
  return { length: wanted, valid: true };
}
