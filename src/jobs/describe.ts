import type { JobState } from '../../server/protocol/jobs.ts';
import type { Annotations, RunReport, StudyFigures, TakenPivots } from '../../server/protocol/runs.ts';
import { count, duration, percent, points } from '../format.ts';

const STAGES: Record<string, string> = {
  generate: 'traces',
  localize: 'pivots',
  mask: 'circuit',
  amplify: 'training',
  evaluate: 'evaluation',
};

/** What a stage makes, in a word or two. */
export const stageLabel = (name: string): string =>
  STAGES[name] ?? name.replace(/^variant-/, 'control: ').replace(/^import$/, 'taking over');

export const isRunning = ({ state }: Pick<JobState, 'state'>): boolean =>
  state === 'running' || state === 'cancelling';

/** Whether its training can be ended early: before it there is nothing to keep, afterwards the patch is written. */
export const isTraining = ({ state, stage, endingTraining }: JobState): boolean =>
  state === 'running' && stage === 'amplify' && !endingTraining;

/** `training 44 / 60 steps · 8 s left, 1 min in all` */
export function progressLine(job: JobState): string {
  if (job.state === 'cancelling') return 'stopping; what is finished is kept';
  if (job.stage === null) return 'starting';
  if (job.endingTraining && job.stage === 'amplify') return 'ending the training; the best step is kept';
  const where = job.total > 0 ? ` ${count(job.done)} / ${count(job.total)} ${job.unit}`.trimEnd() : '';
  const left = timeLeft(job);
  return `${stageLabel(job.stage)}${where}${left && ` · ${left}`}`;
}

/** `8 s left, 1 min in all`; empty while nothing is known. */
function timeLeft({ stageRemaining, remaining, atMost }: JobState): string {
  const all = remaining === null ? null : duration(remaining);
  const stage = stageRemaining === null ? null : duration(stageRemaining);
  const bound = atMost ? 'at most ' : '';
  if (stage === null || stage === all) return all === null ? '' : `${bound}${all} left`;
  return `${bound}${all === null ? `${stage} left` : `${stage} left, ${all} in all`}`;
}

/** Share of a job that is done, 0 to 1: finished stages, and the part of the running one. Stages count alike. */
export function share(job: JobState): number {
  if (job.stages.length === 0) return 0;
  const ended = job.stages.filter(({ status }) => status === 'finished' || status === 'kept').length;
  const running = job.stages.some(({ status }) => status === 'running');
  const part = running ? job.share : 0;
  return Math.min(1, (ended + part) / job.stages.length);
}

/** What a finished job gained on the target problems, in one line. */
export function gainLine(report: RunReport): string | null {
  const target = report.suites.find(({ kind }) => kind === 'target');
  if (!target) return null;
  const [low, high] = target.gainInterval;
  const from = `${percent(target.base.accuracy)} → ${percent(target.amplified.accuracy)}`;
  return `${from} of ${count(target.amplified.n)} problems (${points(target.gain)} points, 95 % ${points(low)} to ${points(high)})`;
}

/** `41 pairs: 3 accepted, 2 changed, 1 marked by hand · 4 pivots rejected, 1 trace excluded` */
export function annotationLine(said: TakenPivots | Annotations): string {
  const { pairs, accepted, edited, marked } = said;
  const { rejected, excluded } = { rejected: 0, excluded: 0, ...said };
  const part = (n: number, words: string) => n > 0 && `${n} ${words}`;
  const list = (parts: (string | false)[]) => parts.filter(Boolean).join(', ');
  const kept = list([part(accepted, 'accepted'), part(edited, 'changed'), part(marked, 'marked by hand')]);
  const left = list([
    part(rejected, rejected === 1 ? 'pivot rejected' : 'pivots rejected'),
    part(excluded, excluded === 1 ? 'trace excluded' : 'traces excluded'),
  ]);
  const counted = pairs === 1 ? '1 pair' : `${pairs} pairs`;
  return [kept ? `${counted}: ${kept}` : counted, left].filter(Boolean).join(' · ');
}

/** What an experiment with several seeds gained: `3 seeds: 64.3 % before, +29.9 ± 0.1 points on average, worst +29.4` */
export function studyLine({ seeds, base, gain, worst }: StudyFigures): string {
  const error = gain.error === null ? '' : ` ± ${(100 * gain.error).toFixed(1)}`;
  const count = seeds.length === 1 ? '1 seed' : `${seeds.length} seeds`;
  return `${count}: ${percent(base)} before, ${points(gain.mean)}${error} points on average, worst ${points(worst)}`;
}
