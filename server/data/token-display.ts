/** How a token's text is shown: on one line, with every character that would not be seen written as an escape. */

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '"': '\\"' };

/**
 * Not to be seen, or not what they seem: controls and format characters (zero width, bidirectional, tags), line
 * separators, every space but the plain one, lone surrogates, and private or unassigned code points.
 */
const HIDDEN = /["\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;

/** A backslash of the text itself, where it would read as one of the escapes; `\\x` is how tokenizers show lone bytes. */
const MISTAKABLE = /\\(?=[nrt"\\]|u\{)/g;

/** The text between double quotes, escapes as in JavaScript: `" 3"`, `"\n"`, `"\u{200B}"`. */
export function quoteToken(text: string): string {
  return `"${text.replace(MISTAKABLE, '\\\\').replace(HIDDEN, escaped)}"`;
}

function escaped(character: string, at: number, whole: string): string {
  // Emoji are joined by U+200D; one between two visible characters is part of what is seen.
  if (character === '\u200d' && at > 0 && at + 1 < whole.length) return character;
  return NAMED[character] ?? codePoint(character);
}

function codePoint(character: string): string {
  const code = character.codePointAt(0)!;
  const digits = code.toString(16).toUpperCase();
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits.padStart(4, '0')}}`;
}
