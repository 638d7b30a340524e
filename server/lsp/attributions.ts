import { readConfig } from '../checkpoint/config.ts';
import type { ModelRef } from '../engine/models.ts';
import { ComponentSpace } from '../model/components.ts';
import type { PatchRef } from '../protocol/message.ts';
import type { Attribution, OfDocument } from '../protocol/traces.ts';
import { labelOf } from './component-label.ts';
import { unlessAborted } from './engine-host.ts';
import { Remembered } from './remembered.ts';
import { questionKey } from './score-cache.ts';
import { modelRef, type Services } from './services.ts';

/** Components of an attribution, by size: a hundredth of the model's, as many as a circuit has by default, but no more than can be looked at. */
const COMPONENTS = { share: 0.01, least: 8, most: 200 };
/** Attributions that are kept. */
const KEPT = 128;
/** A trace that is scored in less, in seconds, has pivots that are attributed ahead: each takes some times as long. */
const QUICK = 0.25;
/** Pivots of a trace that are attributed ahead. */
const AHEAD = 4;

export interface AttributionQuestion {
  model: ModelRef;
  patches: readonly PatchRef[];
  prefix: readonly number[];
  desired: number;
  undesired: number;
  components: boolean;
}

/** Without what is of one version of a document: text and places. */
export interface Attributed extends Pick<Attribution, 'margin' | 'components'> {
  /** One per token of the prefix. */
  tokens: Float32Array;
}

type Parts = Pick<Services, 'answers' | 'documents' | 'engine' | 'options'>;

/** Attribution of logit differences: computed once for the same tokens under the same weights, some before it is asked for. */
export class Attributions {
  private readonly parts: Parts;
  private readonly latest = new Remembered<Attributed>(KEPT);
  /** Those that are made ahead now, by what they answer. */
  private readonly making = new Map<string, Promise<unknown>>();
  /** Models whose attribution has been compiled ahead, by the engine's turn. */
  private readonly compiled = new Set<string>();

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** @throws Cancelled when `signal` fires; and what the engine's job throws */
  async of(question: AttributionQuestion, signal: AbortSignal): Promise<Attributed> {
    const key = keyOf(question);
    // Whether it succeeds or not: what it has not made is made here.
    await unlessAborted(this.making.get(key) ?? Promise.resolve(), signal);
    return this.latest.get(key, () => this.make(question, signal));
  }

  /** A trace's scores have been told. Whoever has seen them puts the cursor on a pivot next. */
  ahead(of: OfDocument, patches: readonly PatchRef[]): void {
    this.pivots(of, patches)
      // A failure is told to whoever asks; a changed document has other pivots.
      .catch(() => undefined)
      .then(() => this.compile(of))
      .catch((error) => this.parts.answers.log('attribution ahead', error));
  }

  private async make(question: AttributionQuestion, signal: AbortSignal | null): Promise<Attributed> {
    const { patches: patch, ...rest } = question;
    const { model } = question;
    const { engine } = this.parts;
    const options = signal ? { signal } : {};
    const { margin, tokens, gates } = await engine.callOn(
      'attributePivot',
      model,
      { patch, ...rest },
      options,
    );
    return { margin, tokens, components: gates && strongest(model.folder, gates) };
  }

  private async pivots(of: OfDocument, patches: readonly PatchRef[]): Promise<void> {
    const { documents, engine, options } = this.parts;
    await documents.whileCurrent(of, new AbortController().signal, async (current) => {
      const { trace, model } = documents.withModel(of);
      const { ids } = trace.tokens!;
      if (engine.secondsOf(ids.length) > QUICK) return;
      const waiting = trace.placedPivots.filter(({ status }) => status !== 'rejected').slice(0, AHEAD);
      for (const { token, desired, undesired } of waiting) {
        const question = {
          model: modelRef(model, options),
          patches,
          prefix: ids.slice(0, token),
          desired,
          undesired,
          components: false,
        };
        const key = keyOf(question);
        if (this.latest.known(key) || this.making.has(key)) continue;
        const made = this.make(question, current)
          .then((attributed) => this.latest.put(key, attributed))
          .catch(() => undefined)
          .finally(() => this.making.delete(key));
        this.making.set(key, made);
        await made;
        if (current.aborted) return;
      }
    });
  }

  /** Compiling takes longer than the answer: done with a prefix of one token. */
  private async compile(of: OfDocument): Promise<void> {
    const { documents, engine, options } = this.parts;
    const { trace, model: folder } = documents.withModel(of);
    const { ids } = trace.tokens!;
    const model = modelRef(folder, options);
    const key = JSON.stringify([model, engine.turn]);
    if (this.compiled.has(key) || ids.length < 3) return;
    this.compiled.add(key);
    const [first, desired, other] = ids as [number, number, number];
    const undesired = [other, ...ids].find((id) => id !== desired);
    if (undesired === undefined) return;
    await this.make({ model, patches: [], prefix: [first], desired, undesired, components: true }, null);
  }
}

function keyOf({ model, patches, prefix, desired, undesired, components }: AttributionQuestion): string {
  const ids = [...prefix, desired, undesired];
  return `${questionKey({ model, patches, ids, topK: 0 })} ${components}`;
}

/** The components that matter most, most helpful first. */
function strongest(model: string, gates: Float32Array): Attribution['components'] {
  const space = new ComponentSpace(readConfig(model));
  const { share, least, most } = COMPONENTS;
  const count = Math.min(most, Math.max(least, Math.floor(share * space.size)));
  const bySize = Array.from(gates, (gradient, component) => ({ component, gradient }))
    .sort((a, b) => Math.abs(b.gradient) - Math.abs(a.gradient))
    .slice(0, count);
  return bySize
    .sort((a, b) => a.gradient - b.gradient)
    .map(({ component, gradient }) => ({ component, label: labelOf(space.at(component)), gradient }));
}
