/**
 * A longest common subsequence of two sequences of symbols, by Hirschberg's algorithm (CACM 18:341, 1975): O(n m) time,
 * O(n + m) memory.
 * @returns index pairs [in a, in b] of the matches, ascending
 */
export function longestCommonSubsequence(a: Int32Array, b: Int32Array): [number, number][] {
  const matches: [number, number][] = [];
  align(a, b, 0, 0, matches);
  return matches;
}

function align(a: Int32Array, b: Int32Array, aAt: number, bAt: number, matches: [number, number][]): void {
  // What both begin or end with is part of some longest subsequence: only the middle needs the search.
  let head = 0;
  const shorter = Math.min(a.length, b.length);
  while (head < shorter && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < shorter - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  for (let i = 0; i < head; i++) matches.push([aAt + i, bAt + i]);
  const left = a.subarray(head, a.length - tail);
  const right = b.subarray(head, b.length - tail);
  if (left.length === 1 || right.length === 1) {
    const at = left.length === 1 ? right.indexOf(left[0]!) : left.indexOf(right[0]!);
    if (at >= 0)
      matches.push([aAt + head + (left.length === 1 ? 0 : at), bAt + head + (left.length === 1 ? at : 0)]);
  } else if (left.length > 0 && right.length > 0) {
    const middle = left.length >> 1;
    const before = lengths(left.subarray(0, middle), right);
    const after = lengths(left.slice(middle).reverse(), right.slice().reverse());
    let cut = 0;
    let best = -1;
    for (let j = 0; j <= right.length; j++) {
      const sum = before[j]! + after[right.length - j]!;
      if (sum > best) [best, cut] = [sum, j];
    }
    const [x, y] = [aAt + head, bAt + head];
    align(left.subarray(0, middle), right.subarray(0, cut), x, y, matches);
    align(left.subarray(middle), right.subarray(cut), x + middle, y + cut, matches);
  }
  for (let i = 0; i < tail; i++) matches.push([aAt + a.length - tail + i, bAt + b.length - tail + i]);
}

/** Length of the longest common subsequence of all of a with each prefix of b: [b.length + 1]. */
function lengths(a: Int32Array, b: Int32Array): Uint32Array {
  const row = new Uint32Array(b.length + 1);
  for (let i = 0; i < a.length; i++) {
    let diagonal = 0;
    for (let j = 1; j <= b.length; j++) {
      const above = row[j]!;
      row[j] = a[i] === b[j - 1] ? diagonal + 1 : Math.max(above, row[j - 1]!);
      diagonal = above;
    }
  }
  return row;
}
