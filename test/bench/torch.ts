/** The PyTorch peers (torch_bench.py), where a Python with PyTorch is at hand. */
import { spawnSync } from 'node:child_process';
import type { Shape } from './shape.ts';

/** One JSON line of torch_bench.py. */
export interface TorchCase {
  case: string;
  /** Sequences in the batch. */
  batch: number;
  seconds: number[];
  new_tokens?: number;
}

export interface Torch {
  version: string;
  /** Run cases with `extra` flags; what they print, in order. */
  run(cases: string, repeats: number, extra?: readonly string[]): TorchCase[];
}

/** CCA_PYTHON, or python3; null where it has no PyTorch. */
export function findTorch(script: string, shape: Shape, threads: number): Torch | null {
  const python = process.env.CCA_PYTHON || 'python3';
  const probe = spawnSync(python, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
  if (probe.status !== 0) return null;
  const flags = {
    threads,
    batch: shape.batch,
    'mask-tokens': shape.maskTokens,
    'row-tokens': shape.rowTokens,
    'shared-tokens': shape.sharedTokens + shape.suffixTokens,
    'decode-batches': shape.decodeBatches,
    'prompt-tokens': shape.promptTokens,
    'new-tokens': shape.newTokens,
    layers: shape.layers,
    hidden: shape.hidden,
    heads: shape.heads,
    'kv-heads': shape.kvHeads,
    'head-dim': shape.headDim,
    ffn: shape.ffn,
    vocab: shape.vocab,
  };
  const common = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
  return {
    version: probe.stdout.trim(),
    run(cases, repeats, extra = []) {
      const args = [script, '--cases', cases, '--repeats', String(repeats), ...common, ...extra];
      const result = spawnSync(python, args, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      if (result.status !== 0) throw new Error(`${python} ${script} ended with ${result.status}`);
      return result.stdout
        .split('\n')
        .filter((line) => line.length > 0)
        .map((line) => JSON.parse(line) as TorchCase);
    },
  };
}
