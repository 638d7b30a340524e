import type { ScoredToken, TokenRange } from '../../../server/protocol/traces.ts';

/** Tokens that tile a text, from `line` on, as a server would place them. */
export function tile(pieces: readonly string[], line = 0): TokenRange[] {
  let at = { line, character: 0 };
  return pieces.map((text, index) => {
    const start = at;
    const breaks = text.split('\n');
    at =
      breaks.length === 1
        ? { line: start.line, character: start.character + text.length }
        : { line: start.line + breaks.length - 1, character: breaks.at(-1)!.length };
    return { index, id: 100 + index, text, range: { start, end: at } };
  });
}

export const scored = (
  token: TokenRange,
  over: Partial<Omit<ScoredToken, keyof TokenRange>> = {},
): ScoredToken => ({ ...token, logprob: -0.01, rank: 1, entropy: 0.01, generated: true, ...over });
