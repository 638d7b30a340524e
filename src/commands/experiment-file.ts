import path from 'node:path';
import { parse } from 'jsonc-parser';

export const isExperimentFile = (file: string): boolean => /(^|[\\/.])experiment\.json$/.test(file);

/** What the editor's side needs to know of an experiment file; the engine reads and checks all of it. */
export interface ExperimentOutline {
  /** Run folder, absolute; null where the file names none. */
  out: string | null;
}

/** @param file absolute */
export function outlineOf(file: string, text: string): ExperimentOutline {
  const value: unknown = parse(text, [], { allowTrailingComma: true });
  const out = (value as { out?: unknown } | null)?.out;
  return { out: typeof out === 'string' ? path.resolve(path.dirname(file), out) : null };
}

/** What the user is asked for a new experiment; paths are absolute. */
export interface NewExperiment {
  /** Where the file goes. */
  file: string;
  model: string;
  /** Files of problems: one that is split by seed, or train, validation and test. */
  problems: readonly [string] | readonly [string, string, string];
  /** Files of control items; may be none. */
  controls: readonly string[];
}

/** The text of a new experiment file; its paths are relative to it, with forward slashes, so that the folder can move. */
export function experimentText({ file, model, problems, controls }: NewExperiment): string {
  const folder = path.dirname(file);
  const from = (target: string) => {
    const way = path.relative(folder, target).replaceAll('\\', '/');
    return way === '' ? '.' : way;
  };
  const name = path.basename(file).replace(/\.?experiment\.json$/, '') || path.basename(folder);
  const [train, val, test] = problems.map(from);
  const experiment = {
    model: from(model),
    out: `runs/${name}`,
    problems: test === undefined ? train : { train, val, test },
    ...(controls.length > 0 && { controls: controls.map(from) }),
    seed: 0,
  };
  return `${JSON.stringify(experiment, null, 2)}\n`;
}

/** The demo's experiment file for a folder of its own: its run folder lies inside, and the editor knows the schema already. */
export function demoExperiment(text: string): string {
  const { $schema: _, ...experiment } = JSON.parse(text);
  return `${JSON.stringify({ ...experiment, out: 'runs/demo' }, null, 2)}\n`;
}
