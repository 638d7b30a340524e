/** Timing, memory and printing. */
import { existsSync, readFileSync } from 'node:fs';

/** Seconds of each repeat. */
export type Samples = readonly number[];

/** @param warmUp runs that are not counted: sessions are compiled, buffers made */
export async function time(
  step: () => Promise<unknown>,
  { repeats, warmUp = 1 }: { repeats: number; warmUp?: number },
): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < warmUp + repeats; i++) {
    const begin = performance.now();
    await step();
    if (i >= warmUp) samples.push((performance.now() - begin) / 1000);
  }
  return samples;
}

/** Peak resident memory of this process, page cache of mapped files included. */
export function peakBytes(): number {
  // Linux hands a parent's peak down to its child's maxRSS, so its own count is read. Both are in kilobytes of 1024.
  const status = existsSync('/proc/self/status') ? readFileSync('/proc/self/status', 'utf8') : '';
  const own = /VmHWM:\s+(\d+) kB/.exec(status)?.[1];
  return (own ? Number(own) : process.resourceUsage().maxRSS) * 1024;
}

export function median(samples: Samples): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export const digits = (x: number): string =>
  x === 0 || Math.abs(x) >= 100 ? x.toFixed(0) : x.toPrecision(3);

/** min / median / max of samples, each through `of` (seconds by default). */
export function spread(samples: Samples, of: (seconds: number) => number = (s) => s): string {
  const values = samples.map(of);
  return `${digits(Math.min(...values))} / ${digits(median(values))} / ${digits(Math.max(...values))}`;
}

/** How many times faster `fast` is, from the medians, with the least and the most that the repeats allow. */
export function ratio(slow: Samples, fast: Samples): { value: number; text: string } {
  const value = median(slow) / median(fast);
  const least = Math.min(...slow) / Math.max(...fast);
  const most = Math.max(...slow) / Math.min(...fast);
  return { value, text: `${digits(least)} / ${digits(value)} / ${digits(most)}` };
}

/** Prints lines under headings and remembers which bars were missed. */
export class Report {
  readonly missed: string[] = [];
  private readonly judges: boolean;

  /** @param judges whether bars apply: they are for the full shapes */
  constructor(judges: boolean) {
    this.judges = judges;
  }

  heading(text: string): void {
    console.log(`\n${text}`);
  }

  line(label: string, value: string): void {
    console.log(`  ${label.padEnd(44)} ${value}`);
  }

  /** A figure with a bar that could not be taken: missed. */
  unmeasured(label: string): void {
    if (this.judges) this.missed.push(label);
    this.line(label, this.judges ? 'not measured   (MISSED)' : 'not measured');
  }

  /** A figure with a bar that it should reach (`atLeast`) or stay under (`atMost`). */
  judged(label: string, text: string, value: number, bar: { atLeast?: number; atMost?: number }): void {
    const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = bar;
    const wanted = bar.atLeast !== undefined ? `at least ${digits(atLeast)}` : `at most ${digits(atMost)}`;
    const reached = value >= atLeast && value <= atMost;
    if (this.judges && !reached) this.missed.push(label);
    this.line(label, this.judges ? `${text}   (bar: ${wanted}; ${reached ? 'reached' : 'MISSED'})` : text);
  }

  /** Figures of all repeats with a range that each of them should lie in. */
  within(label: string, samples: Samples, { atLeast, atMost }: { atLeast: number; atMost: number }): void {
    const reached = samples.every((value) => value >= atLeast && value <= atMost);
    if (this.judges && !reached) this.missed.push(label.trim());
    const verdict = this.judges ? `   (bar: ${atLeast} to ${atMost}; ${reached ? 'reached' : 'MISSED'})` : '';
    this.line(label, `${spread(samples)}${verdict}`);
  }
}
