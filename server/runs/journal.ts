import fs from 'node:fs';
import { InputError } from '../errors.ts';
import { withFileErrors } from './atomic.ts';
import { exactJson, writeFully } from './disk.ts';

/** One line of journal.jsonl. `time` is ISO 8601; the other fields depend on the event. */
export interface JournalEvent {
  time: string;
  event: string;
  [field: string]: unknown;
}

/**
 * Reads the whole lines of a journal. A last line that was cut off by a kill or a power cut is left out; a broken line
 * before the last means that the file was edited or damaged: InputError with the line number. A missing file is empty.
 * @returns events and the byte length of the whole lines
 */
export function readJournal(file: string): { events: JournalEvent[]; bytes: number } {
  const events: JournalEvent[] = [];
  if (!fs.existsSync(file)) return { events, bytes: 0 };
  const data = withFileErrors(file, () => fs.readFileSync(file));
  let start = 0;
  for (let line = 1; start < data.length; line++) {
    const end = data.indexOf(10, start);
    if (end < 0) break;
    const event = parseLine(data.toString('utf8', start, end));
    if (event === null) {
      // A power cut can leave a last line of the right length whose bytes never reached the disk.
      if (end === data.length - 1) break;
      throw new InputError(
        `${file}:${line}`,
        'is not a journal event',
        'Start over with --fresh or another --out.',
      );
    }
    events.push(event);
    start = end + 1;
  }
  return { events, bytes: start };
}

/** The readable events of a journal that may be damaged: enough to know which files belong to the run. */
export function readEvents(file: string): JournalEvent[] {
  if (!fs.existsSync(file)) return [];
  const lines = withFileErrors(file, () => fs.readFileSync(file, 'utf8')).split('\n');
  return lines.map(parseLine).filter((event) => event !== null);
}

function parseLine(text: string): JournalEvent | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && isEvent(value as JournalEvent) ? (value as JournalEvent) : null;
  } catch {
    return null;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether an event has what the state of a run is rebuilt from. */
function isEvent(event: JournalEvent): boolean {
  const { stage, artefacts, commits } = event;
  switch (event.event) {
    case 'artefact':
      return typeof event.name === 'string';
    case 'stage-opened': {
      const names = Array.isArray(artefacts) && artefacts.every((name) => typeof name === 'string');
      return typeof stage === 'string' && names && isObject(event.inputs);
    }
    case 'unit':
      return typeof stage === 'string' && typeof event.key === 'string' && isExtents(event.extents);
    case 'rolled-back':
      return typeof stage === 'string' && Number.isSafeInteger(commits) && (commits as number) >= 0;
    case 'stage-finished':
    case 'stage-restarted':
      return typeof stage === 'string';
    default:
      return typeof event.event === 'string';
  }
}

/** Bytes, records and checksum of every file. */
function isExtents(value: unknown): boolean {
  const whole = (extent: unknown) =>
    isObject(extent) && ['bytes', 'records', 'crc'].every((name) => Number.isSafeInteger(extent[name]));
  return isObject(value) && Object.values(value).every(whole);
}

/** The append-only record of a run. Every event is handed to the system at once; `durable` ones reach the disk before return. */
export class Journal {
  readonly events: JournalEvent[];
  private readonly file: string;
  private readonly fd: number;
  private bytes: number;

  /** Opens or creates the journal and cuts off a torn last line. */
  constructor(file: string) {
    const { events, bytes } = readJournal(file);
    this.file = file;
    this.events = events;
    this.bytes = bytes;
    this.fd = withFileErrors(file, () => {
      const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644);
      fs.ftruncateSync(fd, bytes);
      return fd;
    });
  }

  append(event: string, fields: Record<string, unknown>, durable: boolean): JournalEvent {
    const text = exactJson({ time: new Date().toISOString(), event, ...fields });
    const line = Buffer.from(`${text}\n`);
    withFileErrors(this.file, () => {
      // A fixed position: a line that was half written on a full disk is overwritten by the next one.
      writeFully(this.fd, line, this.bytes);
      if (durable) fs.fsyncSync(this.fd);
    });
    this.bytes += line.length;
    // Read back, so that a live run and a resumed one hold equal values.
    const stored = JSON.parse(text) as JournalEvent;
    this.events.push(stored);
    return stored;
  }

  close(): void {
    fs.closeSync(this.fd);
  }
}
