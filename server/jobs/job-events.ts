/** What a job's process prints, folded into what the editor shows of the job. */
import type { StepReport } from '../amplify/amplifier.ts';
import type { JobState, StepPoint } from '../protocol/jobs.ts';
import { STAGES } from './command-line.ts';

/** The mask at one epoch of its training. */
export interface MaskPoint {
  lambda: number;
  epoch: number;
  selected: number;
  margin: number;
  loss: number;
  values: number[];
}

/** Lines that nobody here needs: a run prints one for every trace, with all its tokens. */
const UNREAD = /^\{"event":"partial","kind":"(?!step"|mask")/;
const MASK = '{"event":"partial","kind":"mask"';
/** A process that outlived its engine reports so as a failure, but nothing was wrong with the input or the code. */
const ENGINE_GONE = /^the engine (?:stopped|ended)\b/;

// biome-ignore lint/suspicious/noExplicitAny: lines of another process, read field by field
type Event = Record<string, any>;

/** What changed with a line. */
export interface Change {
  state: boolean;
  /** First training step that is new, by its place in the list; null for none. */
  steps: number | null;
  mask: boolean;
}

const NONE: Change = { state: false, steps: null, mask: false };
const STATE: Change = { ...NONE, state: true };

/** Reads the lines of one job in their order. */
export class JobEvents {
  readonly state: JobState;
  readonly steps: StepPoint[] = [];
  /** How the process says it ended; null while it has not. `crashed`: it can be started again. */
  ending: 'finished' | 'failed' | 'cancelled' | 'crashed' | null = null;
  /** One line on why, as the process says. */
  error: string | null = null;
  /** Whether a stage has been started since the job began: what was to be done again has been cleared away. */
  begun = false;
  private lastMask: string | null = null;

  constructor(state: JobState) {
    this.state = state;
  }

  /** The mask of the last line that had one. */
  mask(): MaskPoint | null {
    if (this.lastMask === null) return null;
    const { lambda, epoch, selected, margin, loss, values } = JSON.parse(this.lastMask) as MaskPoint;
    return { lambda, epoch, selected, margin, loss, values };
  }

  /** @returns what changed; a line that is no event (torn by a crash) changes nothing */
  read(line: string): Change {
    if (UNREAD.test(line)) return NONE;
    // With every component's value: only the last one is of use, and only where somebody looks.
    if (line.startsWith(MASK)) {
      if (!line.endsWith('}')) return NONE;
      this.lastMask = line;
      return { ...NONE, mask: true };
    }
    let event: Event;
    try {
      event = JSON.parse(line);
    } catch {
      return NONE;
    }
    return this.apply(event);
  }

  private apply(event: Event): Change {
    const { state } = this;
    switch (event.event) {
      case 'attempt':
        this.ending = null;
        this.error = null;
        Object.assign(state, { state: 'running', error: null, restarts: event.attempt, ended: null });
        return STATE;
      case 'message':
        return this.message(String(event.text));
      case 'stage':
        this.stage(event);
        return STATE;
      case 'progress':
        return this.progress(event);
      case 'partial':
        return event.kind === 'step' ? this.step(event.report) : NONE;
      case 'result':
        return this.end('finished', null);
      case 'cancelled':
        return this.end('cancelled', null);
      case 'error': {
        const message = String(event.message);
        const crashed = event.kind === 'failure' && ENGINE_GONE.test(message);
        return this.end(crashed ? 'crashed' : 'failed', message);
      }
      default:
        return NONE;
    }
  }

  private message(text: string): Change {
    const device = /^device: (\w+)/.exec(text)?.[1];
    if (device === undefined) return NONE;
    this.state.device = device;
    return STATE;
  }

  private stage({ stage, status }: Event): void {
    const { state } = this;
    const known = state.stages.find(({ name }) => name === stage);
    const shown = ({ started: 'running', finished: 'finished', skipped: 'kept' } as const)[
      status as 'started' | 'finished' | 'skipped'
    ];
    if (!shown) return;
    if (known) known.status = shown;
    else state.stages.push({ name: stage, status: shown });
    if (status === 'started') {
      this.begun = true;
      Object.assign(state, { stage, ...NOT_BEGUN, stageRemaining: null });
    } else if (state.stage === stage) {
      Object.assign(state, { stage: null, stageRemaining: null });
    }
  }

  private progress(event: Event): Change {
    const { stage, done, total, unit, share, remaining, allRemaining, atMost, figures } = event;
    const { tokensPerSecond, memory } = event;
    Object.assign(this.state, {
      stage,
      done,
      total,
      unit,
      share: share ?? (total > 0 ? Math.min(1, done / total) : 0),
      stageRemaining: remaining ?? null,
      remaining: allRemaining ?? null,
      atMost: atMost === true,
      figures: figures ?? {},
      tokensPerSecond: tokensPerSecond ?? null,
      memory: memory ?? null,
    });
    return STATE;
  }

  /** Steps of the circuit's own training; those of matched controls are not drawn into the same curve. */
  private step(report: StepReport): Change {
    const { stage } = this.state;
    if (stage !== null && stage !== 'amplify') return NONE;
    const point = stepPoint(report);
    // A resumed training goes back to its last snapshot.
    const at = this.steps.findIndex((known) => known.step >= point.step);
    const from = at < 0 ? this.steps.length : at;
    this.steps.splice(from, this.steps.length, point);
    return { ...NONE, steps: from };
  }

  private end(ending: NonNullable<JobEvents['ending']>, error: string | null): Change {
    this.ending = ending;
    this.error = error;
    return NONE;
  }
}

/** Fields of a stage that has told nothing yet. */
const NOT_BEGUN = {
  done: 0,
  total: 0,
  unit: '',
  share: 0,
  atMost: false,
  figures: {},
  tokensPerSecond: null,
};

/** Fields of a job at which nothing is at work. */
export const AT_REST = {
  stage: null,
  stageRemaining: null,
  remaining: null,
  endingTraining: false,
  tokensPerSecond: null,
  memory: null,
} as const;

/** A training step as the editor draws it. */
export function stepPoint(report: StepReport): StepPoint {
  const { step, loss, margin, klControl, klTraces, observation, best, breach } = report;
  return {
    step,
    loss,
    margin,
    klControl,
    klTraces,
    validation: observation?.accuracy ?? null,
    guard: observation
      ? Object.fromEntries(Object.entries(observation.suites).map(([name, suite]) => [name, suite.accuracy]))
      : null,
    best,
    breach,
  };
}

/** A job that has just begun. */
export function newState(
  fields: Pick<JobState, 'id' | 'title' | 'spec' | 'run' | 'started'>,
  stages: readonly string[],
): JobState {
  return {
    ...fields,
    state: 'running',
    error: null,
    ...AT_REST,
    stages: (stages.length > 0 ? stages : STAGES).map((name) => ({ name, status: 'waiting' })),
    ...NOT_BEGUN,
    memory: null,
    ended: null,
    restarts: 0,
    device: null,
  };
}
