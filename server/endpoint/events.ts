import { Fault } from './faults.ts';

/** An answer, or one of its lines, past this is none: memory stays bounded whatever a server sends. */
const MOST_CHARACTERS = 32 * 2 ** 20;

/**
 * The JSON values of an answer: the data of its server-sent events up to `[DONE]`, or the one value of a plain answer.
 * @param pieces the answer's body as it comes
 * @throws Fault for what is not JSON, or for an answer that ends in the middle
 */
export async function* jsonValues(pieces: AsyncIterable<string>, isStream: boolean): AsyncGenerator<unknown> {
  if (!isStream) {
    let body = '';
    for await (const piece of pieces) body = bounded(body + piece);
    yield parse(body);
    return;
  }
  for await (const data of eventData(pieces)) {
    if (data.trim() === '[DONE]') return;
    yield parse(data);
  }
}

/** The data of each event (WHATWG HTML, 9.2.6); one that is not closed by an empty line never came. */
async function* eventData(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = '';
  let data: string[] = [];
  for await (const piece of pieces) {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = bounded(lines.pop()!);
    for (const line of lines) {
      if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
  }
}

function bounded(text: string): string {
  if (text.length > MOST_CHARACTERS) throw new Fault('the answer is too long to be one');
  return text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Fault(`the answer is not JSON (${text.trim().slice(0, 40) || 'it is empty'})`);
  }
}
