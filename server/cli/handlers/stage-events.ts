import type { ReadyEvent } from '../../engine/run-folder.ts';
import type { StageEvent, StageProgress } from '../../pipeline/context.ts';
import { PipelineProgress, type PlannedStage } from '../../runs/progress.ts';
import type { Io } from '../command.ts';
import { now } from './engine.ts';

/** Tells a pipeline's events to the user, with the time that is left of the stage and of all of them. */
export class StageListener {
  private readonly io: Io;
  private plan: readonly PlannedStage[];
  private progress: PipelineProgress;
  /** Latest figures of the running stage. */
  private figures: Record<string, number> = {};

  /** @param plan the stages to come, with their costs relative to each other */
  constructor(io: Io, plan: readonly PlannedStage[]) {
    this.io = io;
    this.plan = plan;
    this.progress = new PipelineProgress(plan);
  }

  setPlan(plan: readonly PlannedStage[]): void {
    this.plan = plan;
    this.progress = new PipelineProgress(plan);
  }

  readonly tell = (event: StageEvent | ReadyEvent): void => {
    switch (event.event) {
      case 'ready': {
        const text = `device: ${event.device}, ${event.threads} threads (${event.reason})`;
        this.io.emit({ event: 'message', level: 'info', text });
        break;
      }
      case 'notice':
        this.io.emit({ event: 'message', level: event.level, text: event.text });
        break;
      case 'stage':
        this.stage(event);
        break;
      case 'progress':
        this.advance(event);
        break;
      case 'trace':
      case 'pair':
      case 'mask':
      case 'step': {
        const { event: kind, ...rest } = event;
        this.io.emit({ event: 'partial', kind, ...rest });
        this.figures = figuresOf(event);
        break;
      }
    }
  };

  private stage({ stage, state, seconds }: StageEvent & { event: 'stage' }): void {
    this.figures = {};
    if (state === 'kept') {
      if (this.planned(stage)) this.progress.skip(stage);
      this.io.emit({ event: 'stage', stage, status: 'skipped' });
    } else if (state === 'started') {
      if (this.planned(stage)) this.progress.begin(stage, now());
      this.io.emit({ event: 'stage', stage, status: 'started' });
    } else {
      this.progress.end(now());
      this.io.emit({ event: 'stage', stage, status: 'finished', seconds });
    }
  }

  private advance(event: StageProgress): void {
    this.progress.update(event.share, event.remaining, now());
    this.io.emit({
      ...event,
      memory: process.memoryUsage.rss(),
      ...(this.plan.length > 1 && { allRemaining: this.progress.remaining() }),
      ...(Object.keys(this.figures).length > 0 && { figures: this.figures }),
    });
  }

  private planned(stage: string): boolean {
    return this.plan.some(({ name }) => name === stage);
  }
}

/** Figures worth a glance. */
function figuresOf(event: StageEvent): Record<string, number> {
  if (event.event === 'step') {
    const { loss, margin, observation, best } = event.report;
    return {
      loss,
      ...(margin !== null && { margin }),
      ...(observation && { validation: observation.accuracy }),
      best,
    };
  }
  if (event.event === 'mask') return { loss: event.loss, margin: event.margin };
  return {};
}
