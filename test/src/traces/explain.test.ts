import { beforeEach, expect, test, vi } from 'vitest';
import { attribute, purpose, type RelatedPairs, relatedPairs } from '../../../server/protocol/circuit.ts';
import type { Request } from '../../../server/protocol/message.ts';
import { attribution, open } from '../../../server/protocol/traces.ts';
import type { RequestOptions, Server } from '../../../src/server/server.ts';
import { Explain } from '../../../src/traces/explain.ts';

interface Item {
  label: string;
  description?: string;
  kind?: number;
}

/** Lists that were shown, and which row of each is taken: null closes it, 'back' presses its button. */
const user = vi.hoisted(() => ({
  shown: [] as { title: string; items: Item[] }[],
  takes: [] as (RegExp | 'back' | null)[],
}));

vi.mock('vscode', () => {
  class EventEmitter {
    event = () => ({ dispose() {} });
    fire() {}
    dispose() {}
  }
  class Token {
    token = { isCancellationRequested: false };
    cancel() {}
    dispose() {}
  }
  const createQuickPick = () => {
    const on: Record<string, () => void> = {};
    const picker = {
      title: '',
      items: [] as Item[],
      selectedItems: [] as Item[],
      onDidAccept: (f: () => void) => (on.accept = f),
      onDidTriggerButton: (f: () => void) => (on.button = f),
      onDidHide: (f: () => void) => (on.hide = f),
      hide: () => on.hide!(),
      dispose() {},
      show() {
        user.shown.push({ title: picker.title, items: picker.items });
        const take = user.takes.shift() ?? null;
        queueMicrotask(() => {
          if (take === null) return on.hide!();
          if (take === 'back') return on.button!();
          picker.selectedItems = picker.items.filter(({ label, kind }) => kind !== -1 && take.test(label));
          if (picker.selectedItems.length !== 1) throw new Error(`${take} takes no single row`);
          on.accept!();
        });
      },
    };
    return picker;
  };
  return {
    EventEmitter,
    CancellationTokenSource: Token,
    CancellationError: class extends Error {},
    QuickInputButtons: { Back: {} },
    QuickPickItemKind: { Separator: -1 },
    ProgressLocation: { Notification: 15 },
    Selection: class {},
    TextEditorRevealType: {},
    Uri: { file: (fsPath: string) => ({ fsPath }) },
    commands: {},
    window: { createQuickPick, createOutputChannel: () => ({ warn() {}, dispose() {} }) },
  };
});

const pair = (name: string, token = 9) => ({
  ...{ pair: `${name}/pair`, problem: name, desired: ' 1', undesired: ' The' },
  ...{ trace: `${name}/sample-0`, token },
});
const view = {
  ...{ problem: 'test-3', template: 'boxes', run: '/runs/one' },
  pivots: [] as object[],
};
const at = { line: 4, character: 2 };
const diff = {
  divergence: { token: 7, from: { id: 1, text: ' The' }, to: { id: 2, text: ' 1' } },
  firstDivergenceAt: at,
};

let related: RelatedPairs;
let computed: RelatedPairs | Error;
let asked: { method: string; params: Record<string, unknown> }[];
let opened: string[];
let explain: Explain;

beforeEach(() => {
  user.shown = [];
  user.takes = [];
  asked = [];
  opened = [];
  view.pivots = [];
  related = {
    template: { count: 31, pairs: [pair('train-1'), { ...pair('train-2'), trace: null }, pair('train-5')] },
    served: [{ ...pair('train-8'), agreement: 0.25 }],
  };
  const trace = { of: { uri: 'file:///flip.trace', version: 1 }, diff: { from: null, to: [], diff } };
  const answers: Record<string, () => unknown> = {
    [attribution.method]: () => ({
      margin: -0.5,
      components: [
        { component: 1, label: 'L0 Q1', gradient: 0.1 },
        { component: 7, label: 'L0 Q7', gradient: -0.25 },
      ],
    }),
    [relatedPairs.method]: () => related,
    [open.method]: () => ({ file: '/runs/one/documents/a.trace' }),
  };
  const server = {
    request: async (
      { method }: Request<unknown, unknown, unknown>,
      params: Record<string, unknown>,
      options?: RequestOptions<{ done: number; total: number }>,
    ) => {
      asked.push({ method, params });
      if (method !== attribute.method) return answers[method]!();
      options!.onPart!({ done: 1, total: 2 });
      if (computed instanceof Error) throw computed;
      related = computed;
      return null;
    },
  };
  const editors = {
    active: null,
    show: async ({ fsPath }: { fsPath: string }) => {
      opened.push(fsPath);
      return null;
    },
  };
  const annotations = { place: async () => ({ trace, view, at, token: 7, pivot: null }) };
  explain = new Explain(server as unknown as Server, editors as never, annotations as never, () => []);
});

const labels = (list: number) => user.shown[list]!.items.map(({ label }) => label);
const methods = () => asked.map(({ method }) => method);

test('a flip leads from where its outputs part to the training pivots that belong to it, one click away', async () => {
  user.takes = [/train-5/];
  await explain.start();
  expect(user.shown[0]!.title).toBe('" The" → " 1": logit difference -0.50');
  expect(labels(0)).toEqual([
    'training pivots of its template boxes (31)',
    '$(file) train-1: " The" → " 1"',
    '$(file) train-5: " The" → " 1"',
    'training pivots that its components serve most',
    '$(file) train-8: " The" → " 1"',
    'components',
    '$(arrow-up) L0 Q7',
    '$(arrow-down) L0 Q1',
  ]);
  const components = [
    { component: 7, gradient: -0.25 },
    { component: 1, gradient: 0.1 },
  ];
  expect(asked.find(({ method }) => method === relatedPairs.method)!.params).toEqual({
    ...{ run: '/runs/one', template: 'boxes', components },
  });
  expect(asked.at(-1)).toEqual({
    method: open.method,
    params: { run: '/runs/one', trace: 'train-5/sample-0' },
  });
  expect(opened).toEqual(['/runs/one/documents/a.trace']);
});

test('what the components serve is computed where it is not known, and shown then', async () => {
  computed = related;
  related = { ...related, served: null };
  user.takes = [/Find the training pivots/, /train-8/];
  await explain.start();
  expect(labels(0)).not.toContain('$(file) train-8: " The" → " 1"');
  expect(methods().filter((method) => method === attribute.method)).toHaveLength(1);
  expect(labels(1)).toContain('$(file) train-8: " The" → " 1"');
  expect(opened).toHaveLength(1);
});

test('given up while it is computed, the list is as it was', async () => {
  const { CancellationError } = await import('vscode');
  computed = new CancellationError();
  related = { ...related, served: null };
  user.takes = [/Find the training pivots/, null];
  await explain.start();
  expect(labels(1)).toEqual(labels(0));
  expect(opened).toEqual([]);
});

test('of a training pivot the components come first, and it is not among its own pairs', async () => {
  const text = (id: number) => ({ id, text: ` ${id}` });
  view.pivots = [
    { token: 9, range: { start: at, end: at }, undesired: text(3), desired: text(4), status: 'auto' },
  ];
  related.template!.pairs[0] = pair('test-3');
  user.takes = [/ 3.* 4/, null];
  await explain.start();
  expect(labels(1)[0]).toBe('components');
  expect(labels(1).some((label) => label.includes('test-3'))).toBe(false);
  expect(labels(1)).toContain('$(file) train-5: " The" → " 1"');
  expect(methods()).not.toContain(purpose.method);
});
