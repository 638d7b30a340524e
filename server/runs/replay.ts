import type { JournalEvent } from './journal.ts';

/** What is committed of one JSONL artefact: its length and the CRC-32 of those bytes. */
export interface Extent {
  bytes: number;
  records: number;
  crc: number;
}

/** One finished unit of work. `extents` holds every artefact of the stage as it stood after this unit. */
interface Commit {
  key: string;
  result: unknown;
  extents: Record<string, Extent>;
}

/** A stage as its journal tells it. */
export interface StageRecord {
  name: string;
  /** Hashes of what the stage read from other stages, by role. */
  inputs: Record<string, string>;
  /** JSONL artefacts that the stage appends to. */
  artefacts: string[];
  commits: Commit[];
  /** Wall time spent in the stage up to its last event, over all sessions. */
  seconds: number;
  finished: boolean;
  /** What the stage reported when it finished. */
  summary: unknown;
}

export interface History {
  stages: Map<string, StageRecord>;
  /** Every file or folder that the run has made, relative to the run folder. */
  names: Set<string>;
}

/** Rebuilds the state of a run from its journal. */
export function replay(events: JournalEvent[]): History {
  const history: History = { stages: new Map(), names: new Set() };
  for (const event of events) apply(history, event);
  return history;
}

/** Takes one event into the history; a live run does so with each event that it writes, so both see the same. */
export function apply(history: History, event: JournalEvent): void {
  const name = event.stage as string;
  const stage = history.stages.get(name);
  if (typeof event.seconds === 'number' && stage) stage.seconds = event.seconds;
  switch (event.event) {
    case 'artefact':
      history.names.add(event.name as string);
      break;
    case 'stage-opened': {
      const artefacts = event.artefacts as string[];
      for (const artefact of [...artefacts, stateName(name)]) history.names.add(artefact);
      if (stage) stage.artefacts = artefacts;
      else history.stages.set(name, emptyStage(name, artefacts, event.inputs as Record<string, string>));
      break;
    }
    case 'unit':
      stage?.commits.push({
        key: event.key as string,
        result: event.result,
        extents: event.extents as Record<string, Extent>,
      });
      break;
    case 'rolled-back':
      if (stage) stage.commits.length = event.commits as number;
      break;
    case 'stage-finished':
      if (stage) Object.assign(stage, { finished: true, summary: event.summary });
      break;
    case 'stage-restarted':
      history.stages.delete(name);
      break;
  }
}

function emptyStage(name: string, artefacts: string[], inputs: Record<string, string>): StageRecord {
  return { name, inputs, artefacts, commits: [], seconds: 0, finished: false, summary: null };
}

/** File in the run folder with the last snapshot of a stage's optimiser or search state. */
export function stateName(stage: string): string {
  return `${stage}.state`;
}
