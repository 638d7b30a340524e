import type { CliEvent } from './command.ts';
import { cut, duration, figure } from './render.ts';

/** A stream that text goes to. */
export interface Sink {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

const BAR = 20;
/** On a terminal the line is redrawn at most this often; in a log a line comes at most this often (milliseconds). */
const REDRAW_MS = 100;
const LOG_MS = 10_000;

/** Shows the progress of a command on stderr: one line that is redrawn on a terminal, few lines in a log. */
export class ProgressConsole {
  private readonly sink: Sink;
  private readonly quiet: boolean;
  private readonly now: () => number;
  private drawn = false;
  private lastTime = Number.NEGATIVE_INFINITY;
  private lastTenth = 0;
  private lastStage = '';

  constructor(sink: Sink, quiet: boolean, now: () => number = () => performance.now()) {
    this.sink = sink;
    this.quiet = quiet;
    this.now = now;
  }

  show(event: CliEvent): void {
    if (event.event === 'message') {
      if (event.level === 'warning') this.line(`warning: ${event.text}`);
      else if (!this.quiet) this.line(event.text);
    } else if (this.quiet) return;
    else if (event.event === 'progress') this.progress(event);
    else if (event.event === 'stage') this.stage(event);
  }

  /** A line that stays. */
  line(text: string): void {
    this.clear();
    this.sink.write(`${text}\n`);
  }

  /** Takes the redrawn line away. */
  clear(): void {
    if (this.drawn) this.sink.write('\r\x1b[2K');
    this.drawn = false;
  }

  private stage({ stage, status, seconds }: CliEvent & { event: 'stage' }): void {
    this.lastStage = stage;
    this.lastTenth = 0;
    this.lastTime = Number.NEGATIVE_INFINITY;
    if (status === 'started') {
      if (!this.sink.isTTY) this.line(`${stage}: started`);
    } else if (status === 'skipped') this.line(`${stage}: done before`);
    else this.line(`${stage}: done${seconds === undefined ? '' : ` in ${duration(seconds)}`}`);
  }

  private progress(event: CliEvent & { event: 'progress' }): void {
    if (event.stage !== this.lastStage) {
      this.lastStage = event.stage;
      this.lastTenth = 0;
    }
    const share = event.share ?? (event.total > 0 ? Math.min(1, event.done / event.total) : 1);
    const time = this.now();
    if (this.sink.isTTY) {
      if (time - this.lastTime < REDRAW_MS && share < 1) return;
      this.lastTime = time;
      const full = Math.round(share * BAR);
      const bar = `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}]`;
      const text = cut(`${event.stage} ${bar} ${describe(event, share)}`, (this.sink.columns ?? 80) - 1);
      this.sink.write(`\r\x1b[2K${text}`);
      this.drawn = true;
      return;
    }
    const tenth = Math.floor(share * 10 + 1e-9);
    if (tenth <= this.lastTenth || time - this.lastTime < LOG_MS) return;
    this.lastTenth = tenth;
    this.lastTime = time;
    this.line(`${event.stage}: ${describe(event, share)}`);
  }
}

function describe(event: CliEvent & { event: 'progress' }, share: number): string {
  const { done, total, unit, remaining, allRemaining, atMost, note, figures, tokensPerSecond } = event;
  const parts = [`${Math.floor(share * 100 + 1e-9)} %`, `${figure(done)}/${figure(total)} ${unit}`];
  if (remaining !== null) parts.push(`${atMost ? 'at most ' : ''}${duration(remaining)} left`);
  if (allRemaining !== undefined && allRemaining !== null) parts.push(`${duration(allRemaining)} in all`);
  if (note !== undefined) parts.push(note);
  if (tokensPerSecond !== undefined) parts.push(`${figure(tokensPerSecond)} tokens/s`);
  for (const [name, value] of Object.entries(figures ?? {})) parts.push(`${name} ${figure(value)}`);
  return parts.join(', ');
}
