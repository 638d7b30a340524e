/** log softmax(logits[row])[id] for logits [rows, vocab]. */
export function logProbability(logits: Float32Array, row: number, id: number, vocab: number): number {
  const line = logits.subarray(row * vocab, (row + 1) * vocab);
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < vocab; i++) if (line[i]! > max) max = line[i]!;
  let sum = 0;
  for (let i = 0; i < vocab; i++) sum += Math.exp(line[i]! - max);
  return line[id]! - max - Math.log(sum);
}
