import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { errorCodes, type Request } from '../../../server/protocol/message.ts';
import { type DocumentView, type Scores, scores, view } from '../../../server/protocol/traces.ts';
import { type RequestOptions, type Server, ServerError } from '../../../src/server/server.ts';
import type { TraceDocument } from '../../../src/traces/trace-document.ts';
import { scored, tile } from './tokens.ts';

/** The few parts of the editor's interface that a document's state is made with. */
vi.mock('vscode', () => {
  class EventEmitter<T> {
    readonly #listeners = new Set<(value: T) => void>();
    readonly event = (listener: (value: T) => void) => {
      this.#listeners.add(listener);
      return { dispose: () => this.#listeners.delete(listener) };
    };
    fire(value: T) {
      for (const listener of this.#listeners) listener(value);
    }
    dispose() {
      this.#listeners.clear();
    }
  }
  class CancellationTokenSource {
    readonly #cancelled = new EventEmitter<void>();
    readonly token = { isCancellationRequested: false, onCancellationRequested: this.#cancelled.event };
    cancel() {
      this.token.isCancellationRequested = true;
      this.#cancelled.fire();
    }
    dispose() {}
  }
  return {
    EventEmitter,
    CancellationTokenSource,
    CancellationError: class extends Error {},
    commands: {},
    window: {},
  };
});

const HEADER = 5;
const range = (a: number, b: number, c: number, d: number) => ({
  start: { line: a, character: b },
  end: { line: c, character: d },
});

const viewAt = (line: number): DocumentView => ({
  problem: 'p',
  template: null,
  target: 27,
  answer: 36,
  correct: false,
  excluded: false,
  model: '/m',
  run: null,
  prompt: range(line, 0, line, 4),
  completion: range(line, 4, line, 8),
  pivots: [],
  tokens: 4,
});

/** An engine's process whose answers the test gives. */
class FakeServer {
  readonly asked: {
    method: string;
    version: number;
    options: RequestOptions<Scores>;
    end: (error?: Error) => void;
  }[] = [];
  view: () => DocumentView = () => viewAt(HEADER);

  request(
    request: Request<unknown, unknown, unknown>,
    params: { version: number },
    options = {},
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => (error ? reject(error) : resolve({ total: 4 }));
      this.asked.push({ method: request.method, version: params.version, options, end });
      if (request.method === view.method) resolve(this.view());
    });
  }

  get scorings() {
    return this.asked.filter(({ method }) => method === scores.method);
  }
}

const document = { uri: { toString: () => 'file:///a.trace' }, version: 1 };
let server: FakeServer;
let trace: TraceDocument;
let visible: ReturnType<typeof range> | null;

const settle = () => vi.advanceTimersByTimeAsync(1000);
const tokens = (line: number) => tile(['ab', 'cd', 'ef', 'gh'], line).map((token) => scored(token));

beforeEach(async () => {
  vi.useFakeTimers();
  const { TraceDocument } = await import('../../../src/traces/trace-document.ts');
  server = new FakeServer();
  document.version = 1;
  visible = null;
  trace = new TraceDocument(document as never, server as unknown as Server, () => ({
    scores: true,
    patches: [],
    visible,
  }));
  await settle();
});

afterEach(() => {
  trace.dispose();
  vi.useRealTimers();
});

const insertedLine = { range: range(3, 0, 3, 0), text: 'pivot: token=3\n' };

describe('scores', () => {
  test('are there as they come', () => {
    const [scoring] = server.scorings;
    const changes = vi.fn();
    trace.onDidChange(changes);
    scoring!.options.onPart!({ tokens: tokens(HEADER).slice(2), done: 2, total: 4 });
    expect(trace.scores.tokens).toHaveLength(2);
    expect([trace.timing.first === null, trace.timing.complete]).toEqual([false, null]);
    scoring!.options.onPart!({ tokens: tokens(HEADER).slice(0, 2), done: 4, total: 4 });
    expect(trace.scores.tokens.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(trace.timing.complete).not.toBeNull();
    expect(changes).toHaveBeenCalledTimes(2);
  });

  test('stay through an edit of the header, a line further down', async () => {
    const [scoring] = server.scorings;
    scoring!.options.onPart!({ tokens: tokens(HEADER), done: 4, total: 4 });
    scoring!.end();
    await settle();
    document.version = 2;
    server.view = () => viewAt(HEADER + 1);
    trace.edited([insertedLine as never]);
    expect(trace.scores.at({ line: HEADER + 1, character: 0 })?.index).toBe(0);
    expect(trace.view?.prompt.start.line).toBe(HEADER + 1);
    await settle();
    expect(server.scorings).toHaveLength(1);
    expect(trace.view?.prompt.start.line).toBe(HEADER + 1);
  });

  test('that are on their way are asked for again after one, and late parts are dropped', async () => {
    const [old] = server.scorings;
    old!.options.onPart!({ tokens: tokens(HEADER).slice(0, 2), done: 2, total: 4 });
    document.version = 2;
    trace.edited([insertedLine as never]);
    await settle();
    expect(server.scorings.map(({ version }) => version)).toEqual([1, 2]);
    expect(old!.options.token!.isCancellationRequested).toBe(true);
    old!.options.onPart!({ tokens: tokens(HEADER).slice(2), done: 4, total: 4 });
    expect(trace.scores.tokens).toHaveLength(2);
  });

  test('go with the text that they were of, and come back when typing pauses', async () => {
    server.scorings[0]!.options.onPart!({ tokens: tokens(HEADER), done: 4, total: 4 });
    trace.edited([{ range: range(HEADER, 2, HEADER, 3), text: '' } as never]);
    expect(trace.scores.tokens).toEqual([]);
    expect(trace.view).toBeNull();
    await vi.advanceTimersByTimeAsync(300);
    trace.edited([{ range: range(HEADER, 2, HEADER, 3), text: '' } as never]);
    await vi.advanceTimersByTimeAsync(300);
    expect(server.scorings).toHaveLength(1);
    await settle();
    expect(server.scorings).toHaveLength(2);
  });

  test('follow what is looked at while there is something left of it', async () => {
    const [first] = server.scorings;
    first!.options.onPart!({ tokens: tokens(HEADER).slice(0, 2), done: 2, total: 4 });
    visible = range(HEADER, 0, HEADER, 2);
    trace.scrolled();
    await settle();
    // That is known already.
    expect(server.scorings).toHaveLength(1);
    visible = range(HEADER, 5, HEADER, 8);
    trace.scrolled();
    trace.scrolled();
    await settle();
    expect(server.scorings).toHaveLength(2);
    expect(first!.options.token!.isCancellationRequested).toBe(true);
    server.scorings[1]!.options.onPart!({ tokens: tokens(HEADER), done: 4, total: 4 });
    server.scorings[1]!.end();
    await settle();
    trace.scrolled();
    await settle();
    expect(server.scorings).toHaveLength(2);
  });

  test('of an outdated version are asked for again, other failures are told', async () => {
    server.scorings[0]!.end(new ServerError('stale', errorCodes.stale));
    await settle();
    expect(server.scorings).toHaveLength(2);
    expect(trace.problem).toBeNull();
    server.scorings[1]!.end(new ServerError('m: has no model. Choose one.', errorCodes.input));
    await settle();
    expect(trace.problem).toBe('m: has no model. Choose one.');
    expect(server.scorings).toHaveLength(2);
  });
});

test('who asks for the view waits for that of the present version', async () => {
  document.version = 2;
  server.view = () => viewAt(HEADER + 1);
  trace.edited([insertedLine as never]);
  const current = trace.current();
  await settle();
  expect((await current)?.prompt.start.line).toBe(HEADER + 1);
  expect(server.asked.filter(({ method }) => method === view.method).map(({ version }) => version)).toEqual([
    1, 2,
  ]);
});
