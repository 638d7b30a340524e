/**
 * How good the remaining times are: an experiment is run as the command line runs it, and what it told is compared with
 * what came. A stage's estimate is the time that it has taken plus the time that it says is left.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { digits, type Report, spread } from './measure.ts';

/** What a stage told, in seconds since it began. */
export interface Told {
  at: number;
  /** Part of the work that is done, 0 to 1. */
  share: number;
  remaining: number | null;
  atMost: boolean;
}

export interface StageTimes {
  stage: string;
  /** Seconds that it took. */
  truth: number;
  told: readonly Told[];
}

/** Estimates are judged after this part of a stage's time, and may be off by this part of the truth. */
const AFTER = 0.05;
const WITHIN = 0.25;
/** Shorter stages are told and not judged: what is left of them is not worth an estimate. Seconds. */
const SHORTEST = 1;

/** Reads the lines of `cca run --json` with the times at which they came. */
export class StageClock {
  readonly stages: StageTimes[] = [];
  private open: { stage: string; began: number; told: Told[] } | null = null;

  /** @param now seconds on any steady clock */
  read(line: string, now: number): void {
    // Only these are read: a line of a trace can be long.
    if (!/^\{"event":"(?:stage|progress)"/.test(line)) return;
    const event = JSON.parse(line);
    if (event.event === 'stage') {
      if (event.status === 'started') this.open = { stage: event.stage, began: now, told: [] };
      else if (event.status === 'finished' && this.open) {
        const { stage, began, told } = this.open;
        this.stages.push({ stage, truth: now - began, told });
        this.open = null;
      }
    } else if (this.open?.stage === event.stage) {
      const { share, remaining, atMost = false } = event;
      this.open!.told.push({ at: now - this.open!.began, share, remaining, atMost });
    }
  }
}

/** The first estimate after 5 % of a stage's time, over the truth; and the least and largest of all from there on. */
export interface Judged {
  /** Part of the stage's time at which it was told. */
  after: number;
  ratio: number;
  least: number;
  most: number;
  atMost: boolean;
}

/** @returns null where a stage told no estimate after 5 % of its time */
export function judge({ truth, told }: StageTimes): Judged | null {
  const from = told.filter(({ at, remaining }) => remaining !== null && at >= AFTER * truth);
  const first = from[0];
  if (!first) return null;
  const ratios = from.map(({ at, remaining }) => (at + remaining!) / truth);
  return {
    after: first.at / truth,
    ratio: ratios[0]!,
    least: Math.min(...ratios),
    most: Math.max(...ratios),
    atMost: first.atMost,
  };
}

/** Runs an experiment in a folder of its own. */
async function timed(
  cli: string,
  experiment: string,
  folder: string,
  options: string[],
): Promise<StageTimes[]> {
  const out = mkdtempSync(join(folder, 'estimates-'));
  const flags = ['run', '--experiment', experiment, '--out', out, '--json', ...options];
  const child = spawn(process.execPath, [cli, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const clock = new StageClock();
  for await (const line of createInterface({ input: child.stdout }))
    clock.read(line, performance.now() / 1000);
  const [code] = await ended;
  rmSync(out, { recursive: true, force: true });
  if (code !== 0) throw new Error(`cca run ended with ${code}`);
  return clock.stages;
}

/**
 * @param cli the bundled command line
 * @param folder for the runs
 * @param options further options of `cca run`
 */
export async function estimates(
  report: Report,
  {
    cli,
    folder,
    experiment,
    repeats,
    options,
  }: { cli: string; folder: string; experiment: string; repeats: number; options: string[] },
): Promise<void> {
  report.heading(`Estimated over true time: ${experiment} ${options.join(' ')}`.trim());
  const runs: StageTimes[][] = [];
  for (let i = 0; i < repeats; i++) {
    runs.push(await timed(cli, experiment, folder, options));
  }
  const limits = { atLeast: 1 - WITHIN, atMost: 1 + WITHIN };
  for (const [k, { stage }] of runs[0]!.entries()) {
    const of = runs.map((stages) => stages[k]!);
    const truths = of.map(({ truth }) => truth);
    report.line(`${stage}, seconds`, spread(truths));
    const judged = of.map(judge);
    const known = judged.filter((one) => one !== null);
    if (known.length < judged.length) {
      report.line('  estimate', `none after 5 % in ${judged.length - known.length} of ${judged.length}`);
      if (Math.max(...truths) >= SHORTEST) report.missed.push(`${stage}: no estimate`);
      continue;
    }
    const bound = known.some(({ atMost }) => atMost);
    const ratios = known.map(({ ratio }) => ratio);
    const label = `${stage}: ${bound ? '"at most"' : 'estimate'} after ${digits(100 * Math.max(...known.map(({ after }) => after)))} %`;
    if (Math.max(...truths) < SHORTEST) {
      report.line(label, `${spread(ratios)}   (shorter than a second: not judged)`);
    } else if (bound) {
      const isHeld = Math.min(...ratios) >= 1;
      if (!isHeld) report.missed.push(`${stage}: took longer than it said at most`);
      report.line(
        label,
        `${spread(ratios)}   (${isHeld ? 'a bound, and it held' : 'NOT A BOUND'}; no estimate)`,
      );
    } else {
      report.within(label, ratios, limits);
    }
    const all = [Math.min(...known.map(({ least }) => least)), Math.max(...known.map(({ most }) => most))];
    report.line('  least and largest from there on', all.map(digits).join(' / '));
  }
}
