/** Checkpoints of random weights of any size, written as a stream. */
import { writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type ExpectedTensor, expectedTensors, readConfig } from '../../server/checkpoint/config.ts';
import { dtypeBytes, fromFloat32 } from '../../server/checkpoint/dtype.ts';

/** Elements made at a time: all of a checkpoint that is ever in memory. */
const CHUNK = 1 << 21;

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Uniform in (-scale, scale); a linear congruential generator, since the weights' quality does not matter and their number does. */
function uniform(count: number, seed: number, scale: number): Float32Array {
  const values = new Float32Array(count);
  let state = Math.imul(seed, 2654435761) >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = scale * (state / 2 ** 31 - 1);
  }
  return values;
}

/** Matrices of deviation 1/sqrt(columns), embeddings of deviation 0.05, norms 1, biases 0. */
function randomValues({ name, shape }: ExpectedTensor, count: number, seed: number): Float32Array {
  if (shape.length === 1) return new Float32Array(count).fill(name.endsWith('.bias') ? 0 : 1);
  const isEmbedding = name.includes('embed') || name.includes('lm_head');
  return uniform(count, seed, Math.sqrt(3) * (isEmbedding ? 0.05 : 1 / Math.sqrt(shape[1]!)));
}

/**
 * Write config.json, a tokenizer of one token and random weights, the same each time. The event loop turns between chunks, so
 * that a signal is heard.
 * @param config config.json
 * @returns bytes of the weights
 */
export async function writeRandomCheckpoint(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  dtype: 'F32' | 'BF16',
): Promise<number> {
  await mkdir(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  // No text is encoded: all work is given as ids.
  const tokenizer = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, added_tokens: [] };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const tensors = expectedTensors(readConfig(folder));
  let end = 0;
  const entries = tensors.map(({ name, shape }) => {
    const begin = end;
    end += product(shape) * dtypeBytes(dtype);
    return [name, { dtype, shape, data_offsets: [begin, end] }];
  });
  const json = JSON.stringify(Object.fromEntries(entries));
  const header = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8), 'ascii');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.byteLength));
  const file = await open(join(folder, 'model.safetensors'), 'wx');
  try {
    await file.appendFile(length);
    await file.appendFile(header);
    let seed = 0;
    for (const tensor of tensors) {
      const count = product(tensor.shape);
      for (let at = 0; at < count; at += CHUNK) {
        const values = randomValues(tensor, Math.min(CHUNK, count - at), ++seed);
        await file.appendFile(fromFloat32(values, dtype));
      }
    }
  } finally {
    await file.close();
  }
  return end;
}
