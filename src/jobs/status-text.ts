/** What the status bar says: of the jobs that run, and else of the engine that scores and attributes. */
import type { EngineStatus } from '../../server/protocol/engine.ts';
import type { JobState } from '../../server/protocol/jobs.ts';
import { bytes, count, duration } from '../format.ts';
import type { ServerState } from '../server/server.ts';
import { progressLine, stageLabel } from './describe.ts';

export interface Status {
  /** With icons. */
  text: string;
  failed: boolean;
  /** Of the tooltip, as Markdown. */
  lines: string[];
  /** A job is told of: a click leads to it. */
  job: boolean;
}

/** @param running jobs, newest first; what is known of them is old while the engine's process is not running */
export function statusOf(
  state: ServerState,
  engine: EngineStatus | null,
  running: readonly JobState[],
): Status {
  const jobs = state === 'running' ? running : [];
  const [newest] = jobs;
  const lines = [...jobs.flatMap(jobLines), ...engineLines(state, engine)];
  if (!newest) return { ...engineText(state, engine), lines, job: false };
  const others = jobs.length > 1 ? `  +${jobs.length - 1}` : '';
  // As in the Runs view it does not turn.
  return { text: `$(sync) ${jobText(newest)}${others}`, failed: false, lines, job: true };
}

/** `training 50 % · 2 min left` */
function jobText({ state, stage, share, remaining, stageRemaining, atMost }: JobState): string {
  if (state === 'cancelling') return 'stopping';
  if (stage === null) return 'starting';
  const seconds = remaining ?? stageRemaining;
  const left = seconds === null ? '' : ` · ${atMost ? 'at most ' : ''}${duration(seconds)} left`;
  return `${stageLabel(stage)} ${Math.floor(100 * share)} %${left}`;
}

function jobLines(job: JobState): string[] {
  const { device, tokensPerSecond, memory } = job;
  const at = [
    device?.toUpperCase(),
    tokensPerSecond !== null && `${count(Math.round(tokensPerSecond))} tokens per second`,
    memory !== null && `${bytes(memory)} of memory`,
  ].filter(Boolean);
  return [
    `**${job.title.replaceAll(/[\\`*_[\]<>]/g, '\\$&')}**`,
    progressLine(job),
    ...(at.length > 0 ? [at.join(' · ')] : []),
  ];
}

function engineText(state: ServerState, status: EngineStatus | null): Pick<Status, 'text' | 'failed'> {
  if (state === 'failed') return { text: '$(error) Circuit engine', failed: true };
  if (state !== 'running') return { text: '$(sync) Circuit engine', failed: false };
  if (!status) return { text: '$(circuit-board) Circuit engine', failed: false };
  const failed = status.state === 'failed';
  // Not `loading`, which turns by itself: the whole window is drawn with it, while a trace waits for its colours.
  const icon = failed ? 'error' : status.state === 'busy' ? 'pulse' : 'circuit-board';
  const parts = [
    status.device?.toUpperCase() ?? 'ready',
    status.tokensPerSecond !== null && `${Math.round(status.tokensPerSecond)} tok/s`,
    status.memory > 0 && bytes(status.memory),
  ];
  return { text: `$(${icon}) ${parts.filter(Boolean).join(' · ')}`, failed };
}

function engineLines(state: ServerState, status: EngineStatus | null): string[] {
  if (state !== 'running' || !status) return [`Circuit Amplifier engine: ${state}`];
  const lines = [
    `Circuit Amplifier engine: ${status.state}`,
    status.model !== null && `Model: \`${status.model}\``,
    status.device !== null && `Device: ${status.device}`,
    status.tokensPerSecond !== null && `${Math.round(status.tokensPerSecond)} tokens per second`,
    `Memory: ${bytes(status.memory)}`,
    status.failure,
  ];
  return lines.filter((line) => typeof line === 'string');
}
