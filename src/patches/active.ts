import { type Disposable, EventEmitter, type Memento } from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import { setContext } from '../context.ts';
import { readStack, type Stack } from './stack.ts';

const KEY = 'activePatches';

/** The patches that overlays and diffs of this workspace use, in stack order; kept with the workspace. */
export class ActivePatches implements Disposable {
  readonly #memento: Memento;
  readonly #changed = new EventEmitter<Stack>();
  #stack: Stack;

  readonly onChange = this.#changed.event;

  constructor(memento: Memento) {
    this.#memento = memento;
    this.#stack = readStack(memento.get(KEY));
    setContext('circuitAmplifier.patchesActive', this.#stack.length > 0);
  }

  get stack(): Stack {
    return this.#stack;
  }

  /** For a request. */
  get refs(): PatchRef[] {
    return [...this.#stack];
  }

  /** @param change from the old stack to the new */
  update(change: (stack: Stack) => Stack): void {
    const next = change(this.#stack);
    if (next === this.#stack) return;
    this.#stack = next;
    void this.#memento.update(KEY, next);
    setContext('circuitAmplifier.patchesActive', next.length > 0);
    this.#changed.fire(next);
  }

  dispose(): void {
    this.#changed.dispose();
  }
}
