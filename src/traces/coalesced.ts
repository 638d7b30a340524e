/** Runs a function once for all the requests of a while: now and then, never twice at once. */
export class Coalesced {
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #run: () => void;
  readonly #delay: number;
  readonly #restart: boolean;

  /**
   * @param delay milliseconds from a request to the run
   * @param restart whether each further request puts the run off again (waiting for a pause) instead of joining it
   */
  constructor(run: () => void, delay: number, restart = false) {
    this.#run = run;
    this.#delay = delay;
    this.#restart = restart;
  }

  request(): void {
    if (this.#timer && !this.#restart) return;
    this.cancel();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#run();
    }, this.#delay);
  }

  get pending(): boolean {
    return this.#timer !== null;
  }

  cancel(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  dispose(): void {
    this.cancel();
  }
}
