/**
 * A problem that the user can mend: bad input, a bad flag, a full disk. The message is one line that says
 * what is wrong, where, and what to do. Entry points print it and exit 2; anything else is a bug and exits 1.
 */
export class InputError extends Error {
  override name = 'InputError';
  /** File (with line or field where known), flag or setting at fault. */
  readonly where: string;

  /**
   * @param where file (with line or field where known), flag or setting at fault
   * @param what what is wrong with it
   * @param remedy what to do about it, as an imperative sentence
   */
  constructor(where: string, what: string, remedy: string) {
    super(`${cut(where, 2000)}: ${cut(what, 600)}. ${remedy}`.replace(/\s*\n\s*/g, ' '));
    this.where = where;
  }
}

/** A value from a file may be megabytes. */
const cut = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length)}...` : text;

/** Thrown out of a stage when its signal fires; finished work has been kept. */
export class Cancelled extends Error {
  override name = 'Cancelled';

  constructor() {
    super('cancelled; finished work is kept');
  }
}
