/** Text normalisation for comparing answers. */

/** Characters that TriviaQA counts as punctuation beside ASCII's. */
const PUNCTUATION = /[!"#$%&'()*+,\-./:;<=>?@[\\\]^_`{|}~\u2018\u2019\u00b4]/g;

/**
 * TriviaQA's normalisation (Joshi et al., arXiv 1705.03551, its evaluation script): underscores to spaces, lower case,
 * punctuation to spaces, articles (a, an, the) dropped, white space collapsed.
 */
export function normalizeTrivia(text: string): string {
  return text
    .replaceAll('_', ' ')
    .toLowerCase()
    .replace(PUNCTUATION, ' ')
    .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Exact match after TriviaQA's normalisation with any of the accepted answers. */
export function matchesTrivia(text: string, accepted: readonly string[]): boolean {
  const normal = normalizeTrivia(text);
  return accepted.some((answer) => normalizeTrivia(answer) === normal);
}

/** White space at the ends removed, runs of it inside made one space; everything else is compared as it is. */
export function normalizeSpace(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** Exact match, white space aside, with a control item's answer or any of its answers. */
export function matchesControl(text: string, answer: string | readonly string[]): boolean {
  const normal = normalizeSpace(text);
  return (typeof answer === 'string' ? [answer] : answer).some((a) => normalizeSpace(a) === normal);
}
