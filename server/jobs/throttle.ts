/** Calls `act` at once, then at most every `milliseconds`; the last call of a burst is never lost. */
export class Throttle {
  private readonly milliseconds: number;
  private readonly act: () => void;
  private timer: NodeJS.Timeout | null = null;
  private waiting = false;

  constructor(milliseconds: number, act: () => void) {
    this.milliseconds = milliseconds;
    this.act = act;
  }

  call(): void {
    if (this.timer) {
      this.waiting = true;
      return;
    }
    this.act();
    this.timer = setTimeout(() => {
      this.timer = null;
      if (!this.waiting) return;
      this.waiting = false;
      this.call();
    }, this.milliseconds);
    this.timer.unref();
  }

  /** Acts now if a call is waiting, and no more. */
  close(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (this.waiting) this.act();
    this.waiting = false;
  }
}
