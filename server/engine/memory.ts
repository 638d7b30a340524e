/** What a job needs of memory: told before the model is loaded, and refused where the machine has not got it. */
import os from 'node:os';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { ModelConfig } from '../checkpoint/config.ts';
import { InputError } from '../errors.ts';
import { ComponentSpace, type NeuronRows } from '../model/components.ts';
import {
  activationBytes,
  BASE_BYTES,
  BLOCK_TOKENS,
  decodeBatch,
  GRADIENT_BYTES,
  KV_BYTES,
  kvBytes,
  LOGIT_BYTES,
  logitRows,
  REPACK_BYTES,
  SMALL_BYTES,
  trainingRows,
} from '../model/sizes.ts';
import type { StageName } from '../pipeline/run.ts';
import { budgetCount, type Settings } from '../pipeline/settings.ts';
import type { VariantName } from '../pipeline/variants.ts';

/** Limit in place of the machine's memory or the container's, in GB (10^9 bytes). */
export const LIMIT_VARIABLE = 'CCA_MEMORY_GB';

/** Work whose sessions and values are in memory together. Lengths are in tokens, the longest that occur. */
export type Phase =
  | { kind: 'decode'; batch: number; prompt: number; completion: number }
  /** @param tokens of all traces that are walked together */
  | { kind: 'localize'; batch: number; tokens: number; prompt: number; completion: number }
  /** Continuations scored, as benchmarks do. */
  | { kind: 'likelihood'; length: number }
  /** @param prefixes tokens of all pairs' prefixes @param texts tokens of all texts */
  | { kind: 'fisher'; prefix: number; prefixes: number; text: number; texts: number }
  /** @param tokens of all pairs' prefixes */
  | { kind: 'dcm'; tokens: number; prefix: number; batch: number }
  /**
   * @param weights that are trained
   * @param prefixes tokens of all pairs' prefixes
   * @param texts tokens of what the KL terms read
   */
  | { kind: 'train'; weights: number; prefix: number; prefixes: number; text: number; texts: number }
  /** LoRA of a rank, or every weight (null). */
  | { kind: 'baseline'; rank: number | null; length: number }
  | { kind: 'attribute'; prefix: number }
  | { kind: 'score' };

/** A model as its memory depends on it. */
export interface Footprint {
  config: ModelConfig;
  /** In the files, bytes. */
  stored: number;
  parameters: number;
  /** Float32 copy that a session makes of 16-bit weights, bytes: of the layers, and of what makes the logits. */
  layers: number;
  head: number;
  /** The largest matrix of a layer and that of the logits, in float32, bytes. */
  matrix: number;
  headMatrix: number;
  /** 16-bit weights stay as they are stored. */
  lean: boolean;
}

export function footprint({ config, tensors }: Checkpoint, lean: boolean): Footprint {
  const made: Footprint = {
    config,
    stored: 0,
    parameters: 0,
    layers: 0,
    head: 0,
    matrix: 0,
    headMatrix: 0,
    lean,
  };
  for (const { name, dtype, shape, byteLength } of tensors.values()) {
    const count = shape.reduce((a, b) => a * b, 1);
    made.stored += byteLength;
    made.parameters += count;
    const copied = dtype === 'F32' ? 0 : 4 * count;
    const isEmbedding = name === EMBEDDINGS;
    if (name === 'lm_head.weight' || (isEmbedding && config.tieWordEmbeddings)) {
      made.head += copied;
      made.headMatrix = copied;
    } else if (!isEmbedding) {
      made.layers += copied;
      made.matrix = Math.max(made.matrix, copied);
    }
  }
  return made;
}

const EMBEDDINGS = 'model.embed_tokens.weight';
/** The runtime and this program with its records. */
const RESIDENT = 250 * 2 ** 20;
/** The runtime's allocator takes memory in powers of two and keeps it. */
const ARENA = 1.5;

/** Peak of private memory, bytes. Weights that are mapped from the files are not in it: the system drops them at will. */
export function bytesNeeded(model: Footprint, phases: readonly Phase[]): number {
  return RESIDENT + Math.max(0, ...phases.map((phase) => phaseBytes(model, phase)));
}

function phaseBytes(model: Footprint, phase: Phase): number {
  const { config } = model;
  const kv = kvBytes(config);
  switch (phase.kind) {
    case 'decode':
      return weights(model, 1, 'logits') + decoding(config, phase);
    case 'localize':
      return (
        weights(model, 1, 'logits') +
        decoding(config, phase) +
        Math.min(KV_BYTES, kv * phase.tokens) +
        2 * 4 * config.vocabSize * logitRows(BLOCK_TOKENS, config.vocabSize)
      );
    case 'likelihood':
      return weights(model, 2, 'logits') + forward(config, phase.length) + 2 * LOGIT_BYTES + KV_BYTES / 4;
    case 'score':
      return weights(model, 2, 'logits') + forward(config, BLOCK_TOKENS) + LOGIT_BYTES / 2;
    case 'fisher': {
      const rows = textRows(config, BLOCK_TOKENS, phase);
      const { numLayers, hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config;
      const matrices =
        numLayers * 4 * hiddenSize * ((numHeads + 2 * numKvHeads) * headDim + intermediateSize);
      const bySequence = 4 * hiddenSize * intermediateSize * Math.ceil(rows / Math.max(1, phase.text / 2));
      // Gradients are held once from the runtime and once summed, those of a sequence with their squares.
      const pairs =
        backward(config, pairRows(config, phase), phase.prefix) + 2 * Math.min(GRADIENT_BYTES, matrices);
      const texts =
        backward(config, rows, phase.text) + logits(config, rows) + 2 * Math.min(GRADIENT_BYTES, bySequence);
      return weights(model, 1, 'logits') + Math.max(pairs, texts);
    }
    case 'dcm': {
      const { numLayers, numHeads, numKvHeads, intermediateSize } = config;
      const components = numLayers * (numHeads + 2 * numKvHeads + intermediateSize);
      const before = weights(model, 1, 'logits') + forward(config, phase.prefix);
      const steps = weights(model, 1, 'layers') + repacked(model) + 3 * 4 * components * phase.batch;
      return Math.max(before, steps) + kv * phase.tokens;
    }
    case 'train': {
      const rows = textRows(config, 2 * BLOCK_TOKENS, phase);
      const pairs = weights(model, 1, 'layers') + backward(config, pairRows(config, phase), phase.prefix);
      const kept = Math.min(2 * BASE_BYTES, 4 * config.vocabSize * phase.texts);
      const texts =
        phase.text === 0
          ? 0
          : weights(model, 1, 'logits') + backward(config, rows, phase.text) + logits(config, rows) + kept;
      return pairs + texts + OPTIMISER * phase.weights;
    }
    case 'baseline': {
      const rows = textRows(config, 2 * BLOCK_TOKENS, {
        text: phase.length,
        texts: Number.POSITIVE_INFINITY,
      });
      const step = backward(config, rows, phase.length) + logits(config, rows);
      // All weights are fed: the session holds none.
      if (phase.rank === null) return OPTIMISER * model.parameters + step;
      const { numLayers, hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config;
      const extents = 7 * hiddenSize + 3 * intermediateSize + 2 * (numHeads + numKvHeads) * headDim;
      return weights(model, 1, 'logits') + OPTIMISER * phase.rank * numLayers * extents + step;
    }
    case 'attribute': {
      const rows = pairRows(config, { prefix: phase.prefix, prefixes: BLOCK_TOKENS });
      return weights(model, 3, 'logits') + repacked(model) + backward(config, rows, phase.prefix);
    }
  }
}

/**
 * Bytes for a trained number: itself, its best value, Adam's two, its gradient from the runtime and summed; and those that are
 * saved, once gathered and once as the bytes of the file.
 */
const OPTIMISER = 4 * (6 + 6);

/** What sessions hold of the weights, those that make logits or those of the layers alone. */
function weights(model: Footprint, sessions: number, what: 'logits' | 'layers'): number {
  const { stored, parameters, lean, matrix, headMatrix, layers, head } = model;
  if (stored <= SMALL_BYTES) return 2 * 4 * parameters;
  // A matrix is widened while it is used, and the next before its memory is taken again.
  if (lean) return ARENA * (2 * matrix + (what === 'logits' ? headMatrix : 0));
  return sessions * (layers + (what === 'logits' ? head : 0));
}

/** A mask step's session repacks what it holds. */
function repacked({ stored, parameters, lean }: Footprint): number {
  return stored <= REPACK_BYTES && !lean ? 4 * parameters : 0;
}

/** Keys and values of a batch, laid out anew while the old ones are there; its logits; its prompts' forward pass. */
function decoding(
  config: ModelConfig,
  { batch, prompt, completion }: { batch: number; prompt: number; completion: number },
): number {
  const together = decodeBatch(config, batch, prompt + completion);
  const cache = kvBytes(config) * together * (prompt + completion + 32);
  return 2 * cache + 3 * 4 * config.vocabSize * together + forward(config, prompt, together * prompt);
}

/** Logits, log-probabilities, targets and their gradients: four are there at once. */
function logits(config: ModelConfig, rows: number): number {
  return 4 * 4 * config.vocabSize * rows;
}

/** A block of full sequences of so many tokens in all. */
function forward(config: ModelConfig, length: number, tokens = BLOCK_TOKENS): number {
  const rows = Math.max(length, Math.min(tokens, BLOCK_TOKENS));
  const { hiddenSize, intermediateSize, numHeads, numKvHeads, headDim } = config;
  const row = 6 * hiddenSize + 3 * intermediateSize + 2 * (numHeads + 2 * numKvHeads) * headDim;
  return ARENA * 4 * rows * (row + 3 * numHeads * length) + 2 * kvBytes(config) * rows;
}

/** The same forward and backward: what every layer's backward pass reads is held, and less and less of it as that goes on. */
function backward(config: ModelConfig, rows: number, length: number): number {
  const attention = 4 * config.numLayers * 2 * config.numHeads * length;
  return 1.1 * rows * (activationBytes(config) + attention);
}

/** Rows of a block of pairs with what they share (optimize/pair-loss.ts). */
function pairRows(config: ModelConfig, { prefix, prefixes }: { prefix: number; prefixes: number }): number {
  return Math.max(prefix, Math.min(prefixes, trainingRows(2 * BLOCK_TOKENS, config)));
}

/** Rows of a block of texts, all of them with logits. */
function textRows(
  config: ModelConfig,
  most: number,
  { text, texts }: { text: number; texts: number },
): number {
  return Math.max(text, Math.min(texts, logitRows(trainingRows(most, config), config.vocabSize)));
}

/** Contrasts that are walked together (pipeline/stages/localize.ts). */
export const WALKED = 256;

/** Extents of an amplification's data; lengths in tokens, the longest that occur. */
export interface RunExtents {
  /** That traces are made of. */
  problems: number;
  prompt: number;
  texts: number;
  text: number;
  /** Of prompts and control items that choose the step or score the result. */
  scored: number;
  /** null where they are not there yet. */
  pairs: { count: number; prefix: number } | null;
  /** Stages whose results are taken over. */
  given: { generate: boolean; localize: boolean; mask: boolean };
}

/** What of an amplification is done. */
export interface Doing {
  variants: readonly VariantName[];
  /** A server makes traces and completes branches. */
  remote: boolean;
  until: StageName | null;
}

/** What is not there yet is taken to be as long as its limit lets it be; every other problem gives its pairs. */
export function runPhases(
  config: ModelConfig,
  extents: RunExtents,
  { generate, mask, localize, amplify, evaluate, variants }: Settings,
  { variants: beside, remote, until }: Doing,
): Phase[] {
  const { prompt, given } = extents;
  const { batch, maxTokens } = generate;
  const length = prompt + maxTokens;
  const { count, prefix } = extents.pairs ?? {
    count: Math.ceil((extents.problems * generate.counterparts) / 2),
    prefix: length,
  };
  const { size } = new ComponentSpace(config);
  const chosen = mask.budget === null ? size / 100 : budgetCount(mask.budget, size);
  const weights = (components: number, neurons: NeuronRows) =>
    components * config.hiddenSize * (neurons === 'up' ? 1 : 3);
  const dcm = (pairsPerStep: number): Phase => ({
    kind: 'dcm',
    // Pivots lie anywhere in a completion.
    tokens: (count * (prompt + prefix)) / 2,
    prefix,
    batch: pairsPerStep,
  });
  const training = (trained: number): Phase => ({
    kind: 'train',
    weights: trained,
    prefix,
    prefixes: count * prefix,
    text: Math.max(amplify.klControl > 0 ? extents.text : 0, amplify.klTraces > 0 ? length : 0),
    texts:
      (amplify.klControl > 0 ? extents.texts * extents.text : 0) +
      (amplify.klTraces > 0 ? extents.problems * length : 0),
  });
  const scoring: Phase = {
    kind: 'decode',
    batch: evaluate.batch,
    prompt: extents.scored,
    completion: evaluate.maxTokens,
  };
  const walked: Phase = { kind: 'localize', batch, tokens: WALKED * length, prompt, completion: maxTokens };
  const choice: Phase =
    mask.select === 'dcm'
      ? dcm(mask.batch)
      : {
          kind: 'fisher',
          prefix,
          prefixes: count * prefix,
          text: extents.text,
          texts: extents.texts * extents.text,
        };
  const stages: Record<StageName, Phase[]> = {
    generate: remote || given.generate ? [] : [{ kind: 'decode', batch, prompt, completion: maxTokens }],
    localize: given.localize || localize.method === 'prefix' ? [] : [walked],
    mask: given.mask ? [] : [choice],
    amplify: [training(weights(chosen, amplify.neurons)), scoring],
    evaluate: [scoring],
  };
  const names = Object.keys(stages) as StageName[];
  const done = until === null ? names : names.slice(0, names.indexOf(until) + 1);
  const compared = beside.map((name): Phase => {
    if (name === 'full') return { kind: 'baseline', rank: null, length };
    if (name === 'lora') return { kind: 'baseline', rank: variants.lora.rank, length };
    if (name === 'paper') return dcm(8);
    return training(name === 'all' ? weights(size, amplify.neurons) : weights(chosen, 'up+gate+down'));
  });
  return [...done.flatMap((name) => stages[name]), ...compared];
}

/** Memory that this process may take, bytes: the machine's, its container's or what the environment sets. */
export function memoryLimit(): number {
  const given = process.env[LIMIT_VARIABLE];
  if (given) {
    const gigabytes = Number(given);
    if (gigabytes > 0) return gigabytes * 1e9;
    throw new InputError(LIMIT_VARIABLE, `is ${given}`, 'Give a number of gigabytes.');
  }
  const constrained = process.constrainedMemory();
  const total = os.totalmem();
  return constrained > 0 && constrained < total ? constrained : total;
}

/** What of a job can be made smaller, and how that is asked for. */
interface Relief {
  remedy: string;
  apply(model: Footprint, phases: readonly Phase[]): { model: Footprint; phases: readonly Phase[] };
}

const lean: Relief = {
  remedy:
    'Add --lean (in the editor the setting circuitAmplifier.lean), which leaves 16-bit weights as they are stored and takes up to four times as long',
  apply: (model, phases) => ({ model: { ...model, lean: true }, phases }),
};

const smallBatch = (batch: number): Relief => ({
  remedy: `Give --batch ${batch}`,
  apply: (model, phases) => ({
    model,
    phases: phases.map((phase) =>
      phase.kind === 'decode' || phase.kind === 'localize'
        ? { ...phase, batch: Math.min(phase.batch, batch) }
        : phase,
    ),
  }),
});
const BATCHES = [32, 16, 8, 4, 2, 1].map(smallBatch);

const withoutFull: Relief = {
  remedy: 'Leave out the variant full, which trains every weight',
  apply: (model, phases) => ({
    model,
    phases: phases.filter((phase) => phase.kind !== 'baseline' || phase.rank !== null),
  }),
};

const fewerPairs: Relief = {
  remedy: 'Choose components by --select fisher, or take fewer pairs (--limit)',
  apply: (model, phases) => ({
    model,
    phases: phases.map((phase) => (phase.kind === 'dcm' ? { ...phase, tokens: phase.prefix } : phase)),
  }),
};

/** Alone or together, the mildest first. */
const RELIEFS: readonly (readonly Relief[])[] = [
  [withoutFull],
  ...BATCHES.map((batch) => [batch]),
  [fewerPairs],
  [lean],
  [lean, fewerPairs],
  [lean, withoutFull],
  ...BATCHES.map((batch) => [lean, batch]),
  ...BATCHES.map((batch) => [lean, withoutFull, batch]),
];

/** For people: what a job needs of what there is. */
export function describeNeed(model: Footprint, phases: readonly Phase[], limit: number): string {
  const mapped = model.lean || model.layers === 0 ? `, and maps ${gigabytes(model.stored)} of weights` : '';
  return `memory: needs about ${gigabytes(bytesNeeded(model, phases))} of ${gigabytes(limit)}${mapped}`;
}

/**
 * @param folder of the model, for the message
 * @throws InputError where the work needs more than there is, naming what would make it fit
 */
export function assertFits(model: Footprint, phases: readonly Phase[], limit: number, folder: string): void {
  const needed = bytesNeeded(model, phases);
  if (needed <= limit) return;
  const what = `needs about ${gigabytes(needed)} of memory, and there are ${gigabytes(limit)}`;
  for (const reliefs of RELIEFS) {
    let relieved = { model, phases };
    for (const relief of reliefs) relieved = relief.apply(relieved.model, relieved.phases);
    const then = bytesNeeded(relieved.model, relieved.phases);
    if (then > limit) continue;
    const remedies = reliefs.map(({ remedy }) => remedy);
    throw new InputError(folder, what, `${remedies.join('. ')} (about ${gigabytes(then)})`);
  }
  throw new InputError(folder, what, 'Use a smaller model or a machine with more memory');
}

function gigabytes(bytes: number): string {
  return bytes < 999.5e6 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
