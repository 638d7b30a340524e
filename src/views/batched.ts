import type { Disposable } from 'vscode';

/** Collects values and hands them over together, at most once every `ms` milliseconds. */
export class Batched<T> implements Disposable {
  readonly #ms: number;
  readonly #deliver: (values: T[]) => void;
  readonly #waiting = new Set<T>();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, deliver: (values: T[]) => void) {
    this.#ms = ms;
    this.#deliver = deliver;
  }

  add(value: T): void {
    this.#waiting.add(value);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const values = [...this.#waiting];
      this.#waiting.clear();
      this.#deliver(values);
    }, this.#ms);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }
}
