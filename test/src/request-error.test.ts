/** Requests over a real connection whose other end goes away, as it does when the engine's process is killed. */
import { PassThrough } from 'node:stream';
import { expect, test, vi } from 'vitest';
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageserver/node';
import { requestError } from '../../src/server/request-error.ts';
import { ENGINE_GONE } from '../../src/server/server.ts';

vi.mock('vscode', () => ({ CancellationError: class CancellationError extends Error {} }));

interface Ends {
  editor: MessageConnection;
  engine: MessageConnection;
  /** What the editor writes to. */
  input: PassThrough;
}

function connect(): Ends {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const end = (from: PassThrough, to: PassThrough) =>
    createMessageConnection(new StreamMessageReader(from), new StreamMessageWriter(to), {
      error: () => {},
      warn: () => {},
      info: () => {},
      log: () => {},
    });
  const [editor, engine] = [end(output, input), end(input, output)];
  engine.onRequest('never', () => new Promise(() => {}));
  engine.onRequest('refused', () => new ResponseError(-32001, 'runs/a: is not there'));
  engine.onRequest('stale', () => new ResponseError(-32801, 'the document has changed'));
  for (const one of [editor, engine]) one.listen();
  return { editor, engine, input };
}

/** What a caller is told of a request that fails. */
const told = async (asked: Promise<unknown>, cancelled = false) => {
  const reason = await asked.then(
    () => expect.unreachable('it was answered'),
    (error: unknown) => error,
  );
  return requestError(reason, cancelled);
};

const GONE = { code: ENGINE_GONE, message: 'the engine ended before it answered; it is being started again' };

test('its input is closed before its end is known', async () => {
  const { editor, input } = connect();
  input.destroy();
  expect(await told(editor.sendRequest('never'))).toMatchObject(GONE);
});

test('the connection is given up while it is asked, and asked after that', async () => {
  const { editor } = connect();
  const asked = told(editor.sendRequest('never'));
  editor.dispose();
  expect(await asked).toMatchObject(GONE);
  expect(await told(Promise.resolve().then(() => editor.sendRequest('never')))).toMatchObject(GONE);
});

test.each([
  ['refused', -32001, 'runs/a: is not there'],
  ['stale', -32801, 'the document has changed'],
])('what it answers is told as it is: %s', async (method, code, message) => {
  const { editor } = connect();
  expect(await told(editor.sendRequest(method))).toMatchObject({ name: 'ServerError', code, message });
});

test('what has been cancelled is no failure', async () => {
  const { editor } = connect();
  const source = new CancellationTokenSource();
  const asked = told(editor.sendRequest('refused', source.token), true);
  source.cancel();
  expect((await asked).constructor.name).toBe('CancellationError');
});
