const DELAYS = [500, 2000, 8000] as const;
/** Crashes further apart than this are unrelated. */
const WINDOW_MS = 3 * 60_000;

/** Back-off of a process that ends unexpectedly. */
export class Restarts {
  #crashes: number[] = [];

  /** Milliseconds to wait before the next start after a crash at `now`; null to give up. */
  next(now: number): number | null {
    this.#crashes = this.#crashes.filter((time) => now - time < WINDOW_MS);
    this.#crashes.push(now);
    return DELAYS[this.#crashes.length - 1] ?? null;
  }

  /** The user asked for a start: earlier crashes no longer count. */
  forget(): void {
    this.#crashes = [];
  }
}
