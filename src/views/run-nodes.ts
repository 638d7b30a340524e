import type { JobState } from '../../server/protocol/jobs.ts';
import type { RunRow } from '../../server/protocol/runs.ts';
import { ago, duration, percent, points } from '../format.ts';
import { annotationLine, isRunning, isTraining, progressLine, stageLabel } from '../jobs/describe.ts';

/** What a run's row says; `job` is the newest job on it. */
export interface RunNode {
  kind: 'run';
  row: RunRow;
  job: JobState | undefined;
  /** Name of its workspace folder, where there are several: runs of two may have one name. */
  root?: string | null;
}

/** A job whose run folder is not there yet. */
export interface JobNode {
  kind: 'job';
  job: JobState;
}

type StageStatus = RunRow['stages'][number]['status'] | 'kept' | 'running';

export interface StageNode {
  kind: 'stage';
  run: string;
  name: string;
  status: StageStatus;
  detail: string;
}

export interface FileNode {
  kind: 'file';
  run: string;
  name: string;
  file: string;
}

const FILES = {
  report: 'report.json',
  mask: 'mask.json',
  patch: 'patch.safetensors',
  traces: 'traces.jsonl',
  pairs: 'pairs.jsonl',
} as const;

export const runIsActive = ({ job }: RunNode): boolean => job !== undefined && isRunning(job);

export function runDescription({ row, job, root }: RunNode, now: number): string {
  if (job && isRunning(job)) return [root, progressLine(job)].filter(Boolean).join(' · ');
  const failure = job?.state === 'failed' ? job.error : row.error;
  const parts = [
    root,
    row.target && `${points(row.target.gain)} points`,
    row.components !== null && `${row.components} components`,
    row.status !== 'finished' && row.status,
    row.status === 'failed' && failure,
    ago(Date.parse(row.created), now),
  ];
  return parts.filter(Boolean).join(' · ');
}

/** Lines of a tooltip. */
export function runFigures({ row, job }: RunNode): string[] {
  const { target } = row;
  const lines = [
    `**${row.name}** · ${row.status}`,
    `Model: ${row.model}`,
    `Seed ${row.seed} · ${row.device}`,
  ];
  if (target) {
    const [low, high] = target.interval;
    lines.push(
      `Target: ${percent(target.base)} → ${percent(target.amplified)} of ${target.n} (${points(target.gain)} points, 95 % ${points(low)} to ${points(high)})`,
    );
  }
  if (row.components !== null) lines.push(`${row.components} components`);
  if (row.pivots) lines.push(`Pivots of ${row.pivots.source}: ${annotationLine(row.pivots)}`);
  if (job && job.restarts > 0) lines.push(`Started again ${job.restarts} times after a crash`);
  if (row.error) lines.push(row.error);
  lines.push(row.folder);
  return lines;
}

/** Words that `when` clauses of an item's menu look for. */
export const jobContext = (job: JobState): string =>
  [isRunning(job) ? 'job-running' : 'job-ended', isTraining(job) && 'job-training'].filter(Boolean).join(' ');

export function runContext(node: RunNode): string {
  const { row, job } = node;
  const active = runIsActive(node);
  const words = [
    'run',
    row.status,
    job && jobContext(job),
    !active && row.status !== 'finished' && row.status !== 'running' && 'resumable',
    ...Object.entries(row.files).map(([name, file]) => file !== null && name),
  ];
  return words.filter(Boolean).join(' ');
}

export function runChildren({ row, job }: RunNode): (StageNode | FileNode)[] {
  const live = new Map(job && isRunning(job) ? job.stages.map(({ name, status }) => [name, status]) : []);
  const names = new Set([...row.stages.map(({ name }) => name), ...live.keys()]);
  const stages = [...names].map((name): StageNode => {
    const own = row.stages.find((stage) => stage.name === name);
    const status = live.get(name) ?? own?.status ?? 'waiting';
    const running = status === 'running' && job !== undefined;
    const detail = running ? progressLine(job) : own && own.seconds > 0 ? duration(own.seconds) : '';
    return { kind: 'stage', run: row.folder, name: stageLabel(name), status, detail };
  });
  const files = (Object.keys(FILES) as (keyof typeof FILES)[]).flatMap((name): FileNode[] => {
    const file = row.files[name];
    return file === null ? [] : [{ kind: 'file', run: row.folder, name: FILES[name], file }];
  });
  return [...stages, ...files];
}
