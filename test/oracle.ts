/**
 * Reference numbers of PyTorch + transformers for the tiny checkpoints under test/fixtures (definitions: its README.md).
 * Arrays live in oracles/NAME.safetensors; in oracles/NAME.json each stands as {"$tensor": KEY}.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));

/** Checkpoints of make_llama.py. */
export const llamaNames = [
  'llama-tied',
  'llama-untied-hd',
  'llama-bf16',
  'llama-f16',
  'llama-rope-linear',
  'llama-rope-dynamic',
  'llama-rope-llama3',
  'llama-rope-yarn',
  'llama-bias',
] as const;
/** Checkpoints of make_families.py. */
export const familyNames = [
  'mistral',
  'qwen2',
  'qwen2-f16',
  'qwen3',
  'gemma2',
  'gemma3',
  'olmo2',
  'phi3',
  'smollm2',
] as const;
/** Every checkpoint that has an oracle. */
export const oracleNames = [...llamaNames, ...familyNames] as const;
export type OracleName = (typeof oracleNames)[number];

/** Row-major float32. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** margin = logit[desired] - logit[undesired] at the last position of prefix, in the unchanged model. */
export interface OraclePair {
  prefix: number[];
  desired: number;
  undesired: number;
  margin: number;
}

/** q [L,Hq], k and v [L,Hkv], mlp [L,F]. */
export type PerComponent = Record<'q' | 'k' | 'v' | 'mlp', Tensor>;

/** [layer, head] for q, k, v; [layer, neuron] for mlp. */
export type Selection = Record<'q' | 'k' | 'v' | 'mlp', [layer: number, unit: number][]>;

export type RowKind = 'q' | 'k' | 'v' | 'up' | 'gate' | 'down';
/** In the order of the selection: q, k, v [n, head_dim, hidden]; up, gate, down [n, hidden] (down: the neuron's column). */
export type Rows<K extends RowKind = RowKind> = Record<K, Tensor>;
/** The kinds that the paper trains. */
export type PaperKind = 'q' | 'k' | 'v' | 'up';

/** loss = -mean(margin) with every gate 2*m on the last position, and its gradient with respect to m (not to 2*m). */
export interface MaskCase {
  m: PerComponent;
  margins: number[];
  loss: number;
  grad: PerComponent;
}

/** losses: before each of 3 full-batch steps and after the last. The rows are those after the last. */
export type Trained<K extends RowKind> = Rows<K> & { losses: number[] };

export interface RowsCase {
  select: Selection;
  /** Gradient of mean softplus(-margin) over the pairs. */
  softplus: Rows & { loss: number };
  /** Gradient of -mean(margin). */
  margin: Rows & { loss: number };
  /** -mean(margin), plain SGD, learning rate 0.1. */
  sgd: Trained<PaperKind>;
  /** mean softplus(-margin), Adam 5e-3, betas 0.9 and 0.99, eps 1e-8 outside the root, bias-corrected. */
  adam: Trained<PaperKind>;
}

/** Sequences and the positions t whose next token ids[t + 1] is a label; the loss is the mean over all of them. */
export interface LabelledSequence {
  ids: number[];
  positions: number[];
}

export interface DenseCase {
  sequences: LabelledSequence[];
  loss: number;
  /** By Hugging Face parameter name. Tied embeddings: one entry, the sum of both uses. */
  grad: Record<string, Tensor>;
}

export interface LoraCase extends DenseCase {
  r: number;
  alpha: number;
  targetModules: string[];
  /** By the keys of peft's adapter_model.safetensors; so is grad. A [r,in], B [out,r]. */
  weights: Record<string, Tensor>;
  /** Of the 50-token prompt of `logits`, with the adapter. [50,V]. */
  logits: Tensor;
}

export interface TokenizerOracle {
  encode: {
    text: string;
    ids: number[];
    idsWithSpecial: number[];
    decoded: string;
    decodedSkipSpecial: string;
  }[];
  /** Ids that no text encodes to: cut characters, stray bytes. */
  decode: { ids: number[]; text: string; skipSpecial: string }[];
  chat: {
    messages: { role: string; content: string }[];
    addGenerationPrompt: boolean;
    text: string;
    ids: number[];
  }[];
}

export interface Oracle {
  name: OracleName;
  /** Absolute path of the checkpoint folder. */
  folder: string;
  /** values [50,V]: all positions of one prompt. */
  logits: { ids: number[]; values: Tensor };
  /**
   * 64 greedy ids for each of 5 prompts (1 to 20 tokens), no stop: with transformers' K/V cache, and with every step
   * recomputed from the whole sequence. They differ for dynamic RoPE alone, whose cached keys keep older frequencies.
   */
  greedy: { prompts: number[][]; ids: number[][]; recomputed: number[][]; minGap: number };
  pairs: OraclePair[];
  mask: { random: MaskCase; ones: MaskCase };
  rows: { upper: RowsCase; every: RowsCase & { adamWide: Trained<RowKind> } };
  /** Control texts of kl and fisher. */
  texts: number[][];
  /** KL(base || base + delta on the selected rows), mean over all positions of all texts; gradient at base + delta. */
  kl: { select: Selection; delta: Rows<PaperKind>; value: number; grad: Rows };
  /** Per pair [T]: sum over hidden of d margin / d embedding * embedding. */
  attribution: number[][];
  /**
   * Squared norm, per text, of each component's gradient of -sum_t log p(labels[t]):
   * q [texts,L,Hq], k and v [texts,L,Hkv], up [texts,L,F].
   */
  fisher: { labels: number[][] } & Record<PaperKind, Tensor>;
}

/** What only some checkpoints have. `vectors` of the families: `dense` for norm weights and biases alone. */
interface Extras {
  'llama-tied': { dense: DenseCase; lora: LoraCase; tokenizer: TokenizerOracle };
  'llama-untied-hd': { dense: DenseCase };
}
type FamilyName = (typeof familyNames)[number];
export type OracleOf<N extends OracleName> = Oracle &
  (N extends keyof Extras ? Extras[N] : N extends FamilyName ? { vectors: DenseCase } : unknown);

/** Absolute path of a checkpoint folder. */
export function checkpointFolder(name: OracleName): string {
  return join(fixtures, name);
}

export function loadOracle<N extends OracleName>(name: N): OracleOf<N> {
  return { ...readDocument<OracleOf<N>>(join(fixtures, 'oracles', name)), folder: checkpointFolder(name) };
}

/** What fixtures/store.py has written as BASE.json and BASE.safetensors. */
export function readDocument<T>(base: string): T {
  const arrays = readArrays(`${base}.safetensors`);
  return JSON.parse(readFileSync(`${base}.json`, 'utf8'), (_key, value) => {
    const key: unknown = value?.$tensor;
    if (typeof key !== 'string') return value;
    const array = arrays.get(key);
    if (!array) throw new Error(`${base}.safetensors has no ${key}`);
    return array;
  });
}

/** On purpose not the product's reader: an oracle must not depend on what it judges. Float32 only. */
function readArrays(path: string): Map<string, Tensor> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(bytes.toString('utf8', 8, start));
  const arrays = new Map<string, Tensor>();
  for (const [key, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (dtype !== 'F32') throw new Error(`${path}: ${key} is ${dtype}`);
    const [from, to] = data_offsets;
    const copy = new Uint8Array(bytes.subarray(start + from, start + to)); // aligned
    arrays.set(key, { shape, data: new Float32Array(copy.buffer) });
  }
  return arrays;
}
