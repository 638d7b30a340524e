/** Names of files that changed in a run folder; null where more may have. */
type Files = readonly string[] | null;

/** Records and snapshots of a stage at work: most of what is written, and little of it is shown in lists. */
const GROWS = /\.(?:jsonl|state)$/;

/** Only records were appended: a training step, a trace. */
export const onlyGrew = (files: Files): boolean => files?.every((name) => GROWS.test(name)) ?? false;

export const touches = (files: Files, ...names: readonly RegExp[]): boolean =>
  files?.some((file) => names.some((name) => name.test(file))) ?? true;
