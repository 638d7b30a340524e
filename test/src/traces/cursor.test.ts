import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Request } from '../../../server/protocol/message.ts';
import {
  type Attribution,
  attribution,
  branches,
  type DocumentPivot,
} from '../../../server/protocol/traces.ts';
import type { Server } from '../../../src/server/server.ts';
import type { CursorAttribution, PivotAttribution } from '../../../src/traces/cursor.ts';
import type { TraceEditors } from '../../../src/traces/trace-editors.ts';
import { tile } from './tokens.ts';

/** What the editor tells of: the tests fire it. */
const editor = vi.hoisted(() => {
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
  return {
    EventEmitter,
    selection: new EventEmitter<unknown>(),
    active: new EventEmitter<unknown>(),
    tabs: new EventEmitter<unknown>(),
    never: new EventEmitter<unknown>(),
  };
});

vi.mock('vscode', () => {
  class CancellationTokenSource {
    readonly token = { isCancellationRequested: false };
    cancel() {
      this.token.isCancellationRequested = true;
    }
    dispose() {}
  }
  return {
    EventEmitter: editor.EventEmitter,
    CancellationTokenSource,
    CancellationError: class extends Error {},
    commands: { executeCommand: async () => {} },
    window: {
      onDidChangeTextEditorSelection: editor.selection.event,
      onDidChangeActiveTextEditor: editor.active.event,
      tabGroups: { onDidChangeTabs: editor.tabs.event },
      createOutputChannel: () => ({ warn() {}, dispose() {} }),
    },
    workspace: {
      isTrusted: true,
      onDidGrantWorkspaceTrust: editor.never.event,
      onDidChangeConfiguration: editor.never.event,
      getConfiguration: () => ({ get: (_: string, value: unknown) => value }),
    },
  };
});

const pieces = tile(['ab', ' cd', '\n', ' ef', ' gh'], 3);
const pivotOf = (token: number): DocumentPivot => ({
  token,
  range: pieces[token]!.range,
  undesired: { id: 1, text: pieces[token]!.text },
  desired: { id: 2, text: ' xy' },
  method: 'prefix',
  status: 'auto',
});
const pushes = [0.5, -1, 0.02, 2];
const answer = (token: number, components: boolean): Attribution => ({
  margin: -0.5,
  desired: { id: 2, text: ' xy' },
  undesired: { id: 1, text: pieces[token]!.text },
  tokens: pieces.slice(0, token).map((piece, i) => ({ ...piece, attribution: pushes[i]! })),
  components: components ? [{ component: 7, label: 'L0 Q7', gradient: -0.25 }] : null,
});

/** A trace as far as the cursor needs it; `cursor` is where it stands. */
function traceAt(name: string, run: string | null) {
  const pivots = [pivotOf(1), pivotOf(3)];
  const trace = {
    of: { uri: `file:///${name}.trace`, version: 1 },
    document: { version: 1, lineAt: () => ({ text: '' }) },
    view: { problem: name, run, tokens: pieces.length, prompt: { start: { line: 3, character: 0 } }, pivots },
    attribution: null as unknown,
    touched: vi.fn(),
  };
  return { trace, editor: { selection: { active: pieces[0]!.range.start } } };
}

type Fake = ReturnType<typeof traceAt>;
let current: Fake | null;
let told: PivotAttribution[];
let asked: { method: string; token: number; components?: boolean }[];
let failing: boolean;
let cursor: CursorAttribution;
let panel: boolean;
const changed = new editor.EventEmitter<unknown>();

const settle = () => vi.advanceTimersByTimeAsync(1000);
/** Puts the cursor on a token of the trace that counts. */
async function moveTo(token: number) {
  current!.editor.selection = { active: pieces[token]!.range.start };
  editor.selection.fire({ textEditor: current!.editor });
  await settle();
}
const attributed = () => asked.filter(({ method }) => method === attribution.method);

beforeEach(async () => {
  vi.useFakeTimers();
  const { CursorAttribution } = await import('../../../src/traces/cursor.ts');
  current = traceAt('a', '/runs/one');
  told = [];
  asked = [];
  failing = false;
  panel = true;
  const server = {
    request: async (
      { method }: Request<unknown, unknown, unknown>,
      params: { token: number; components: boolean },
    ) => {
      asked.push({ method, ...params });
      if (failing) throw new Error('no model');
      return method === branches.method ? [] : answer(params.token, params.components);
    },
  };
  const editors = {
    get current() {
      return current;
    },
    onDidChange: changed.event,
  };
  cursor = new CursorAttribution(
    server as unknown as Server,
    editors as unknown as TraceEditors,
    () => [],
    () => panel,
  );
  cursor.onDidShow((one) => told.push(one));
});

afterEach(() => {
  cursor.dispose();
  vi.useRealTimers();
});

test('a pivot is told with its tokens, as strong as the document paints them, and its components', async () => {
  await moveTo(3);
  expect(told).toEqual([
    {
      run: '/runs/one',
      pivot: {
        problem: 'a',
        desired: ' xy',
        undesired: ' ef',
        margin: -0.5,
        tokens: [
          { text: 'ab', attribution: 0.5, level: 4 },
          { text: ' cd', attribution: -1, level: -4 },
          { text: '\n', attribution: 0.02, level: 0 },
        ],
        components: [{ component: 7, gradient: -0.25 }],
      },
    },
  ]);
});

test('leaving a pivot clears it, once', async () => {
  await moveTo(3);
  await moveTo(0);
  await moveTo(0);
  expect(told.slice(1)).toEqual([{ run: null, pivot: null }]);
  expect(current!.trace.attribution).toBeNull();
  await moveTo(1);
  expect(told.at(-1)!.pivot!.undesired).toBe(' cd');
});

test('without a panel only the document is asked for; one that opens is told what the cursor rests on', async () => {
  panel = false;
  await moveTo(3);
  expect(told).toEqual([]);
  expect(attributed().map(({ components }) => components)).toEqual([false]);
  panel = true;
  // The panel has the focus: no text editor is active, and the trace counts on.
  editor.active.fire(undefined);
  await settle();
  expect(told).toEqual([]);
  cursor.refresh();
  await settle();
  expect(told.map(({ pivot }) => pivot!.undesired)).toEqual([' ef']);
});

test('the focus that goes to a panel and comes back changes nothing', async () => {
  await moveTo(3);
  const before = asked.length;
  editor.active.fire(undefined);
  await settle();
  editor.active.fire(current!.editor);
  await settle();
  expect(asked.length).toBe(before);
  expect(told).toHaveLength(1);
});

test('a trace that is closed, or another one without a pivot under its cursor, clears it', async () => {
  const first = current;
  await moveTo(3);
  current = null;
  editor.tabs.fire(undefined);
  await settle();
  expect(told.at(-1)).toEqual({ run: null, pivot: null });
  current = first;
  editor.tabs.fire(undefined);
  await settle();
  expect(told.at(-1)!.pivot!.problem).toBe('a');
  current = traceAt('b', '/runs/two');
  editor.active.fire(current.editor);
  await settle();
  expect(told.at(-1)).toEqual({ run: null, pivot: null });
});

test('what is known anew under a cursor that rests is asked for: after a reload the pivots come late', async () => {
  const pivots = current!.trace.view.pivots;
  current!.trace.view.pivots = [];
  await moveTo(3);
  expect(told).toEqual([]);
  current!.trace.view.pivots = pivots;
  changed.fire(current!.trace);
  await settle();
  expect(told).toHaveLength(1);
});

test('a pivot whose attribution fails leaves no other one in its place', async () => {
  await moveTo(3);
  failing = true;
  await moveTo(1);
  expect(told.at(-1)).toEqual({ run: null, pivot: null });
});
