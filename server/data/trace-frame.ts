/** Where the header of a trace document ends, and what its lines are. */

export const FENCE = '---';

/** A line of the header. Offsets are in UTF-16 units of the whole text. */
export interface HeaderLine {
  /** Text before the colon; '' for a blank line or a comment. */
  key: string;
  /** From 1, as in messages. */
  line: number;
  start: number;
  valueStart: number;
  /** White space before the line's end is not part of the value. */
  valueEnd: number;
  /** Where the line ends, and where the next one starts. */
  end: number;
  next: number;
}

/** Something wrong in a document that the user can mend. */
export interface DocumentFault {
  /** From 1. */
  line: number;
  start: number;
  end: number;
  what: string;
  remedy: string;
}

/** A text cut into its header's lines and its body. */
export interface Frame {
  /** Line end of the header. */
  eol: '\n' | '\r\n';
  header: readonly HeaderLine[];
  /** Where the first line of the header starts, and where the line that closes it does (the body, if none does). */
  headerStart: number;
  headerEnd: number;
  /** Where prompt and completion start. */
  bodyStart: number;
}

/** Cuts a text; what is wrong with that goes to `faults`. */
export function findHeader(text: string, faults: DocumentFault[]): Frame {
  const first = lineAt(text, text.startsWith('\uFEFF') ? 1 : 0, 1);
  const eol = text.slice(first.end, first.next) === '\r\n' ? '\r\n' : '\n';
  const frame = (header: HeaderLine[], headerEnd: number, bodyStart: number): Frame => {
    return { eol, header, headerStart: header.length > 0 ? first.next : headerEnd, headerEnd, bodyStart };
  };
  if (text.slice(first.start, first.end).trimEnd() !== FENCE) {
    const remedy = 'Put the header of a trace document there, or restore the file.';
    faults.push(faultAt(first, `does not start with a line ${FENCE}`, remedy));
    return frame([], first.start, first.start);
  }
  const header: HeaderLine[] = [];
  let complete = false;
  for (let at = first; at.next > at.end; ) {
    at = lineAt(text, at.next, at.line + 1);
    const content = text.slice(at.start, at.end).trimEnd();
    if (content === FENCE) return frame(header, at.start, at.next);
    const blank = content === '' || content.startsWith('#');
    if (at.key === '' && !blank) {
      if (complete) return notClosed(frame(header, at.start, at.start), first, faults);
      faults.push(faultAt(at, 'is no line of a header', 'Write it as `key: value`, or remove it.'));
    }
    complete ||= at.key === 'completion_ids';
    header.push(at);
  }
  return notClosed(frame(header, text.length, text.length), first, faults);
}

function notClosed(frame: Frame, first: HeaderLine, faults: DocumentFault[]): Frame {
  const remedy = `Put a line ${FENCE} between the header and the text.`;
  faults.push(faultAt(frame.header.at(-1) ?? first, `no line ${FENCE} closes the header`, remedy));
  return frame;
}

const KEY = /^([A-Za-z_][\w-]*)[ \t]*:[ \t]*/;

function lineAt(text: string, start: number, line: number): HeaderLine {
  const newline = text.indexOf('\n', start);
  const next = newline < 0 ? text.length : newline + 1;
  const end =
    newline < 0 ? text.length : newline > start && text[newline - 1] === '\r' ? newline - 1 : newline;
  const content = text.slice(start, end);
  const key = KEY.exec(content);
  const valueEnd = start + content.trimEnd().length;
  const valueStart = Math.min(start + (key?.[0].length ?? 0), valueEnd);
  return { key: key?.[1] ?? '', line, start, valueStart, valueEnd, end, next };
}

export function faultAt(at: HeaderLine, what: string, remedy: string): DocumentFault {
  return { line: at.line, start: at.start, end: Math.max(at.end, at.start), what, remedy };
}
