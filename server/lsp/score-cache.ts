import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { ModelRef } from '../engine/models.ts';
import { Cancelled } from '../errors.ts';
import type { TokenScore } from '../inspect/score.ts';
import type { PatchRef } from '../protocol/message.ts';
import type { EngineHost } from './engine-host.ts';
import { stampOf } from './tokenizers.ts';

/** What scores depend on. */
export interface ScoreQuestion {
  model: ModelRef;
  patches: readonly PatchRef[];
  ids: readonly number[];
  topK: number;
}

type Listener = (from: number, tokens: readonly TokenScore[]) => void;

interface Scoring {
  key: string;
  tokens: (TokenScore | null)[];
  done: number;
  listeners: Set<Listener>;
  /** Where was looked last. */
  wanted: number;
  job: { start: number; controller: AbortController; ended: Promise<void> } | null;
}

/** Tokens of a message from the cache: enough for a screen. */
const PART = 512;
/** Documents whose scores are kept. */
const KEPT = 16;

/** Identity of a question: the same tokens under the same weights. Annotations may change meanwhile. */
export function questionKey({ model, patches, ids, topK }: ScoreQuestion): string {
  const sha = createHash('sha256');
  sha.update(JSON.stringify([model, stampOf(model.folder, MODEL_FILES), topK, ids]));
  for (const { file, scale } of patches) {
    const stat = statSync(file, { throwIfNoEntry: false });
    sha.update(JSON.stringify([file, scale, stat?.mtimeMs, stat?.size]));
  }
  return sha.digest('hex');
}

const MODEL_FILES = ['model.safetensors', 'model.safetensors.index.json', 'config.json', 'tokenizer.json'];

/** Scores of documents' tokens: computed once, one job a document at a time, what is looked at first. */
export class ScoreCache {
  private readonly engine: EngineHost;
  /** By document; least recently used first. */
  private readonly documents = new Map<string, Scoring>();

  constructor(engine: EngineHost) {
    this.engine = engine;
  }

  /**
   * Scores all tokens, those from `start` on first.
   * @param onTokens everything once; what is known at once, the rest as it is made
   * @throws Cancelled when `signal` fires; and what the engine's job throws
   */
  async score(
    document: string,
    question: ScoreQuestion,
    start: number,
    signal: AbortSignal,
    onTokens: (from: number, tokens: readonly TokenScore[], done: number) => void,
  ): Promise<void> {
    const scoring = this.open(document, question);
    const told = new Uint8Array(question.ids.length);
    let done = 0;
    const listener: Listener = (from, tokens) => {
      for (const [first, part] of untold(told, from, tokens)) {
        done += part.length;
        onTokens(first, part, done);
      }
    };
    this.tellKnown(scoring, start, listener);
    if (scoring.done === scoring.tokens.length) return;
    scoring.listeners.add(listener);
    const stop = () => {
      scoring.listeners.delete(listener);
      if (scoring.listeners.size === 0) scoring.job?.controller.abort();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      scoring.wanted = start;
      const first = firstMissing(scoring.tokens, start);
      // Somebody looks elsewhere now: what is far from there can wait.
      if (scoring.job && scoring.job.start !== first) scoring.job.controller.abort();
      while (scoring.done < scoring.tokens.length) {
        if (signal.aborted) throw new Cancelled();
        const job = scoring.job && !scoring.job.controller.signal.aborted ? scoring.job : null;
        if (!job && scoring.job) await scoring.job.ended.catch(() => undefined);
        else await (job ?? this.begin(scoring, question)).ended;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      stop();
    }
  }

  /** What is known of a token under the question last asked about a document; null for nothing. */
  known(document: string, token: number, ids: readonly number[]): TokenScore | null {
    const score = this.documents.get(document)?.tokens[token] ?? null;
    return score && score.id === ids[token] ? score : null;
  }

  /** Everything known of a document, by token. */
  all(document: string): readonly (TokenScore | null)[] {
    return this.documents.get(document)?.tokens ?? [];
  }

  /** The document was closed: its job is stopped, its scores stay for a while. */
  stop(document: string): void {
    this.documents.get(document)?.job?.controller.abort();
  }

  private open(document: string, question: ScoreQuestion): Scoring {
    const key = questionKey(question);
    let scoring = this.documents.get(document);
    this.documents.delete(document);
    if (scoring?.key !== key) {
      scoring?.job?.controller.abort();
      const tokens = new Array<TokenScore | null>(question.ids.length).fill(null);
      scoring = { key, tokens, done: 0, listeners: new Set(), wanted: 0, job: null };
    }
    this.documents.set(document, scoring);
    const [oldest] = this.documents.keys();
    if (this.documents.size > KEPT && oldest !== document) {
      this.stop(oldest!);
      this.documents.delete(oldest!);
    }
    return scoring;
  }

  private begin(scoring: Scoring, question: ScoreQuestion): NonNullable<Scoring['job']> {
    const controller = new AbortController();
    const start = firstMissing(scoring.tokens, scoring.wanted);
    const job = { start, controller, ended: this.run(scoring, question, start, controller) };
    scoring.job = job;
    const over = () => {
      if (scoring.job === job) scoring.job = null;
    };
    job.ended.then(over, over);
    return job;
  }

  private async run(
    scoring: Scoring,
    { model, patches, ids, topK }: ScoreQuestion,
    start: number,
    controller: AbortController,
  ): Promise<void> {
    let last = performance.now();
    try {
      await this.engine.callOn(
        'score',
        model,
        { model, patch: patches, text: ids, context: [], topK, start },
        {
          signal: controller.signal,
          onEvent: ({ from, tokens }) => {
            const now = performance.now();
            this.engine.measure(tokens.length, (now - last) / 1000);
            last = now;
            tokens.forEach((token, k) => {
              if (!scoring.tokens[from + k]) scoring.done++;
              scoring.tokens[from + k] = token;
            });
            for (const listener of [...scoring.listeners]) listener(from, tokens);
            // What the job would still do was done by an earlier one.
            if (scoring.done === scoring.tokens.length) controller.abort();
          },
        },
      );
    } catch (error) {
      // Stopped because nobody waits, or another start was wanted: whoever still waits goes on from there.
      if (!(error instanceof Cancelled)) throw error;
    }
  }

  private tellKnown({ tokens }: Scoring, start: number, listener: Listener): void {
    for (const [from, to] of [
      [start, tokens.length],
      [0, start],
    ] as const) {
      for (let at = from; at < to; at += PART) {
        const part = tokens.slice(at, Math.min(to, at + PART));
        let first = 0;
        for (let k = 0; k <= part.length; k++) {
          if (part[k]) continue;
          if (k > first) listener(at + first, part.slice(first, k) as TokenScore[]);
          first = k + 1;
        }
      }
    }
  }
}

/** First token from `start` on, or else from the beginning, that has no score. */
function firstMissing(tokens: readonly (TokenScore | null)[], start: number): number {
  const after = tokens.findIndex((token, i) => i >= start && token === null);
  return after >= 0 ? after : Math.max(0, tokens.indexOf(null));
}

/** Stretches that have not been told, which are told by this. */
function* untold(
  told: Uint8Array,
  from: number,
  tokens: readonly TokenScore[],
): Generator<[number, readonly TokenScore[]]> {
  for (let k = 0; k < tokens.length; ) {
    let end = k;
    while (end < tokens.length && !told[from + end]) end++;
    if (end > k) {
      told.fill(1, from + k, from + end);
      yield [from + k, tokens.slice(k, end)];
    }
    k = end + 1;
  }
}
