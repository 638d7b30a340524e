import type { CancellationToken } from 'vscode-languageserver/node';
import { Cancelled, InputError } from '../errors.ts';
import type { OpenTrace } from '../language/open-trace.ts';
import type { PatchRef } from '../protocol/message.ts';
import type { Branch, OfDocument } from '../protocol/traces.ts';
import { complete, stopRule } from './complete.ts';
import { Remembered } from './remembered.ts';
import { questionKey } from './score-cache.ts';
import { modelRef, type Services } from './services.ts';

/** Pivots whose branches are kept. */
const KEPT = 128;

type Parts = Pick<Services, 'documents' | 'engine' | 'options'>;

/** What follows from either token of a pivot: completed once for the same tokens under the same weights. */
export class PivotBranches {
  private readonly parts: Parts;
  private readonly made: () => void;
  private readonly remembered = new Remembered<Branch[]>(KEPT);
  /** The patches that were last asked about, by document. */
  private readonly patches = new Map<string, readonly PatchRef[]>();
  /** The work that goes on for a hover that did not wait for it, by document. */
  private readonly pending = new Map<
    string,
    { key: string; stop: AbortController; work: Promise<Branch[]> }
  >();

  /** @param made called when a pivot's branches have become known */
  constructor(parts: Parts, made: () => void) {
    this.parts = parts;
    this.made = made;
  }

  /** The patches that the editor shows a document under. */
  patched(uri: string, patches: readonly PatchRef[]): void {
    this.patches.set(uri, patches);
  }

  closed(uri: string): void {
    this.patches.delete(uri);
    this.pending.get(uri)?.stop.abort(new Cancelled());
    this.pending.delete(uri);
  }

  /** What is known already; null for nothing. */
  known(trace: OpenTrace, token: number): readonly Branch[] | null {
    const read = this.parts.documents.get(trace.uri);
    if (read?.trace !== trace || read.model === null || !trace.tokens || !isPivot(trace, token)) return null;
    return this.remembered.known(this.key(trace, read.model, token));
  }

  /**
   * Completes from both tokens.
   * @throws as documents.whileCurrent and documents.withModel; InputError where the token is no pivot
   */
  of(of: OfDocument, token: number, signal: AbortSignal): Promise<Branch[]> {
    const { documents } = this.parts;
    return documents.whileCurrent(of, signal, async (current) => {
      const { trace, model, tokenizer } = documents.withModel(of);
      const key = this.key(trace, model, token);
      const known = this.remembered.known(key);
      if (known) return known;
      const { desired, undesired } = pivotAt(trace, token);
      const { promptIds, target } = trace.document;
      const sides = [
        { role: 'desired' as const, id: desired },
        { role: 'undesired' as const, id: undesired },
      ];
      const before = trace.tokens!.ids.slice(0, token);
      const prefixes = sides.map(({ id }) => ({ ids: [...before, id], prompt: promptIds.length }));
      const patch = this.patches.get(of.uri) ?? [];
      const completed = await complete(this.parts, model, patch, prefixes, trace, current, () => undefined);
      const branches = sides.map(({ role, id }, i): Branch => {
        const { ids, answer, truncated } = completed[i]!;
        return {
          role,
          token: { id, text: trace.tokenText(id) },
          text: tokenizer.decode(ids.slice(token - promptIds.length), { skipSpecialTokens: true }),
          answer,
          correct: target === null ? null : answer === target,
          truncated,
        };
      });
      this.remembered.put(key, branches);
      this.made();
      return branches;
    });
  }

  /**
   * The same for a hover: what is not made within `patience` milliseconds is `pending`, goes on, and is there for the next
   * one. Only the document's last question goes on; null where there is nothing to complete.
   */
  async soon(
    { uri, version }: OfDocument,
    token: number,
    patience: number,
    asked: CancellationToken,
  ): Promise<readonly Branch[] | 'pending' | null> {
    const read = this.parts.documents.get(uri);
    if (!this.parts.options.trusted || !read?.trace.tokens || read.model === null) return null;
    if (!isPivot(read.trace, token)) return null;
    const key = this.key(read.trace, read.model, token);
    const known = this.remembered.known(key);
    if (known) return known;
    let pending = this.pending.get(uri);
    if (pending?.key !== key) {
      pending?.stop.abort(new Cancelled());
      const stop = new AbortController();
      const work = this.of({ uri, version }, token, stop.signal);
      pending = { key, stop, work };
      this.pending.set(uri, pending);
      const over = () => {
        if (this.pending.get(uri)?.stop === stop) this.pending.delete(uri);
      };
      work.then(over, over);
    }
    const { stop, work } = pending;
    // The pointer has moved on: what it asked for is not wanted.
    const gone = asked.onCancellationRequested(() => stop.abort(new Cancelled()));
    let timer: NodeJS.Timeout | undefined;
    const waited = new Promise<'pending'>((resolve) => {
      timer = setTimeout(() => resolve('pending'), patience);
    });
    try {
      return await Promise.race([work, waited]);
    } finally {
      clearTimeout(timer);
      gone.dispose();
    }
  }

  private key(trace: OpenTrace, model: string, token: number): string {
    const { desired, undesired } = pivotAt(trace, token);
    const { options } = this.parts;
    const ids = [...trace.tokens!.ids.slice(0, token), desired, undesired];
    const patches = this.patches.get(trace.uri) ?? [];
    const question = { model: modelRef(model, options), patches, ids, topK: options.maxTokens };
    const { promptIds, target } = trace.document;
    return questionKey(question) + JSON.stringify([promptIds.length, target, stopRule(trace.run)]);
  }
}

const isPivot = (trace: OpenTrace, token: number): boolean => {
  const pivot = trace.pivotAt(token);
  return pivot !== null && trace.placedPivots.includes(pivot);
};

/** @throws InputError where the token is none */
export function pivotAt(trace: OpenTrace, token: number) {
  const pivot = trace.pivotAt(token);
  if (pivot && isPivot(trace, token)) return pivot;
  throw new InputError(`token ${token}`, 'is no pivot', 'Mark it as one first.');
}
