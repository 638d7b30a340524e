import { describe, expect, test } from 'vitest';
import type { ToPanel } from '../../server/protocol/panel.ts';
import { checkFromPanel, checkToPanel } from '../../server/protocol/panel-schema.ts';
import { panelHtml } from '../../src/panel/html.ts';
import { Bits } from '../../webview/circuit/bits.ts';
import { stripStep } from '../../webview/circuit/pushes.ts';
import { extent, largestFall, makeCharts, readAt, stepWords, ticks } from '../../webview/curves/charts.ts';
import { freeze, readKept } from '../../webview/state/kept.ts';
import { reduce } from '../../webview/state/reduce.ts';
import { initial, type State } from '../../webview/state/state.ts';
import { createStore } from '../../webview/state/store.ts';
import { circuitMessage, demo, runningJob } from './data.ts';

const received = (state: State, ...messages: ToPanel[]) =>
  messages.reduce((now, message) => reduce(now, { type: 'received', message }), state);
const opened = received(initial, circuitMessage());
const select = (state: State, positions: number[]) =>
  reduce(state, { type: 'select', selection: Bits.of(1600, positions) });

test('an attribution that is stopped is no error, and can be begun again', () => {
  const begun = received(reduce(opened, { type: 'attributing' }), { type: 'attributing', done: 3, total: 9 });
  expect(begun.attributing).toEqual({ done: 3, total: 9 });
  const stopped = received(begun, { type: 'attributionStopped' });
  expect(stopped).toMatchObject({ attributing: null, notice: null });
});

test('a pivot that comes before the circuit stays, and goes when there is none under the cursor', () => {
  const early = received(initial, demo.pivot, circuitMessage());
  expect(early.pivot).toEqual(demo.pivot.pivot);
  expect(received(early, { type: 'pivot', pivot: null }).pivot).toBeNull();
});

test('keys in the strip of tokens: by a token, to the next that is marked, to the ends', () => {
  const tokens = [0, 2, 0, 0, -4, 0].map((level) => ({ level }));
  const walk = (from: number, ...keys: string[]) =>
    keys.reduce((at, key) => stripStep(tokens, at, key)!, from);
  expect(walk(0, 'ArrowLeft')).toBe(0);
  expect(walk(0, 'ArrowRight', 'ArrowRight')).toBe(2);
  expect(walk(0, 'ArrowDown')).toBe(1);
  expect(walk(0, 'ArrowDown', 'ArrowDown')).toBe(4);
  expect(walk(4, 'ArrowDown')).toBe(4);
  expect(walk(5, 'ArrowUp', 'ArrowUp')).toBe(1);
  expect(walk(1, 'ArrowUp')).toBe(1);
  expect(walk(2, 'End')).toBe(5);
  expect(walk(5, 'ArrowRight', 'Home')).toBe(0);
  expect(stripStep(tokens, 2, 'a')).toBeNull();
});

test('what a component is for is dropped where the attribution or the weights are new, and else kept', () => {
  const known = received(opened, { type: 'purpose', purpose: demo.purposes[0]! });
  const again = circuitMessage();
  expect(received(known, again).purpose).toBe(known.purpose);
  const { attribution } = demo.view;
  expect(received(known, { type: 'attribution', attribution: attribution!, pairs: 1 }).purpose).toBe(null);
  const stale = { ...again, view: { ...again.view, attribution: null } };
  expect(received(known, stale).purpose).toBe(null);
});

describe('messages', () => {
  const good: ToPanel[] = [
    circuitMessage(),
    demo.pivot,
    ...demo.live,
    { type: 'job', job: runningJob },
    { type: 'job', job: null },
    { type: 'attributionStopped' },
    { type: 'steps', from: 0, steps: demo.steps },
    { type: 'report', report: demo.report },
    { type: 'purpose', purpose: demo.purposes[0]! },
    { type: 'pivot', pivot: null },
  ];

  test.each(good.map((message) => [message.type, message] as const))(
    '%s of a real run passes',
    (_, message) => {
      expect(checkToPanel(JSON.parse(JSON.stringify(message)))).toEqual({ message });
    },
  );

  test('every field that is missing or of another kind is found', () => {
    for (const message of good) {
      for (const field of Object.keys(message).filter((name) => name !== 'type')) {
        for (const wrong of [undefined, () => 1, Number.NaN]) {
          expect(checkToPanel({ ...message, [field]: wrong })).toEqual({
            fault: `a message ${message.type} whose ${field} is not what it should be`,
          });
        }
      }
    }
    const step = { ...demo.steps[0], guard: { recall: 'high' } };
    expect(checkToPanel({ type: 'steps', from: 0, steps: [step] })).toHaveProperty('fault');
  });

  test.each([null, 1, 'ready', [], {}, { type: 'unknown' }, { type: 'toString' }])(
    '%j is no message',
    (value) => {
      expect(checkToPanel(value)).toHaveProperty('fault');
      expect(checkFromPanel(value)).toHaveProperty('fault');
    },
  );

  test('to the host', () => {
    expect(checkFromPanel({ type: 'ready' })).toEqual({ message: { type: 'ready' } });
    expect(checkFromPanel({ type: 'purpose', component: -1 })).toHaveProperty('fault');
    expect(checkFromPanel({ type: 'train', selected: [1, 2], choices: { steps: 3 } })).toHaveProperty(
      'fault',
    );
  });
});

describe('state', () => {
  test("opens with the run's own circuit", () => {
    expect(opened.selection.present.positions()).toEqual(demo.view.selected);
    expect(opened.circuit!.layers.attribution!.signed).toBe(true);
  });

  test('the same run again keeps a selection of the user, and follows the run where there is none', () => {
    const other = { ...demo.view, selected: [1, 2] };
    expect(received(opened, circuitMessage(other)).selection.present.positions()).toEqual([1, 2]);
    const edited = received(select(opened, [7]), circuitMessage(other));
    expect(edited.selection.present.positions()).toEqual([7]);
    const another = received(select(opened, [7]), circuitMessage({ ...other, run: '/elsewhere' }));
    expect(another.selection.present.positions()).toEqual([1, 2]);
  });

  test('the mask is live while it is learned, and the selection stays', () => {
    const attribution = reduce(opened, { type: 'lens', lens: 'attribution' });
    const learning = received(attribution, demo.live[0]!);
    expect(learning.lens).toBe('mask');
    expect(learning.live).toMatchObject({ epoch: demo.live[0]!.epoch });
    expect(learning.circuit!.layers.mask).not.toEqual(opened.circuit!.layers.mask);
    expect(learning.selection).toBe(opened.selection);
    const looking = reduce(learning, { type: 'lens', lens: 'attribution' });
    expect(received(looking, demo.live[1]!).lens).toBe('attribution');
    expect(received(learning, { type: 'job', job: runningJob }).live).toBeNull();
  });

  test('values that do not fit the shape are refused', () => {
    expect(() => received(opened, { ...demo.live[0]!, values: 'AAAA' })).toThrow('1600 components');
  });

  test('steps go on from where they are', () => {
    const some = received(opened, { type: 'steps', from: 0, steps: demo.steps.slice(0, 10) });
    const more = received(some, { type: 'steps', from: 8, steps: demo.steps.slice(8, 20) });
    expect(more.steps).toEqual(demo.steps.slice(0, 20));
    expect(received(more, { type: 'steps', from: 0, steps: [] }).steps).toEqual([]);
  });

  test('what is kept comes back for the same run only', () => {
    const zoomed = reduce(select(opened, [3, 1500]), { type: 'zoom', layer: 2 });
    const kept = readKept(JSON.parse(JSON.stringify(freeze(zoomed))))!;
    const restored = reduce(opened, { type: 'restored', kept });
    expect(restored.zoom).toBe(2);
    expect(restored.selection.present.positions()).toEqual([3, 1500]);
    expect(reduce(restored, { type: 'undo' }).selection.present.positions()).toEqual(demo.view.selected);
    const elsewhere = { ...kept, run: '/elsewhere' };
    expect(reduce(opened, { type: 'restored', kept: elsewhere })).toBe(opened);
    for (const broken of [null, 3, {}, { ...kept, lens: 'x' }]) expect(readKept(broken)).toBeNull();
  });

  test('a component from elsewhere is shown in its layer', () => {
    const zoomed = reduce(opened, { type: 'zoom', layer: 0 });
    const at = demo.view.selected.at(-1)!;
    expect(received(zoomed, { type: 'focus', component: at })).toMatchObject({ focus: at, zoom: 3 });
    expect(received(opened, { type: 'focus', component: 1e9 })).toBe(opened);
  });
});

test('views are told once for several changes within a frame, and only of what changed', () => {
  const frames: (() => void)[] = [];
  const store = createStore((flush) => frames.push(flush));
  const seen: unknown[] = [];
  store.watch(
    ({ lens }) => [lens],
    (lens) => seen.push(lens),
  );
  store.watch(
    ({ zoom }) => [zoom],
    (zoom) => seen.push(zoom),
  );
  store.dispatch({ type: 'lens', lens: 'change' });
  store.dispatch({ type: 'lens', lens: 'attribution' });
  expect(frames).toHaveLength(1);
  frames[0]!();
  expect(seen).toEqual(['mask', null, 'attribution']);
});

describe('curves', () => {
  const limits = { maxKl: 0.05, maxDrop: 1 };
  const charts = makeCharts(demo.steps, limits);

  test('of a real run', () => {
    expect(charts.map(({ id }) => id)).toEqual(['loss', 'margin', 'kl', 'validation', 'fall']);
    const kl = charts[2]!;
    expect(kl.limit).toBe(0.05);
    expect(extent(kl)[1]).toBeGreaterThan(0.05);
    expect(charts[3]!.series[0]!.points.map(({ step }) => step)).toEqual([10, 20, 30]);
    expect(stepWords(charts, 12, 10)).toMatch(
      /^Step 12 · loss 0\.\d+ · .*validation accuracy 92\.5 % \(step 10\)/,
    );
    expect(stepWords(charts, 10, 10)).toMatch(/^Step 10, the best so far/);
  });

  test('what was never measured has no chart', () => {
    const bare = demo.steps.map((step) => ({
      ...step,
      klControl: null,
      klTraces: null,
      validation: null,
      guard: null,
    }));
    expect(makeCharts(bare, limits).map(({ id }) => id)).toEqual(['loss', 'margin']);
  });

  test('the largest fall is of the suite that fell most since its first measurement', () => {
    const at = (step: number, guard: Record<string, number> | null) => ({ ...demo.steps[0]!, step, guard });
    const steps = [
      at(0, { a: 1, b: 0.5 }),
      at(1, null),
      at(2, { a: 0.99, b: 0.45 }),
      at(3, { a: 1, b: 0.6 }),
    ];
    const fall = largestFall(steps).map(({ step, value }) => [step, Math.round(value * 100) / 100]);
    expect(fall).toEqual([
      [0, 0],
      [2, 5],
      [3, 0],
    ]);
  });

  test('ticks are round and inside', () => {
    expect(ticks(0, 0.053)).toEqual([0, 0.02, 0.04]);
    expect(ticks(-1.2, 4.9)).toEqual([0, 2, 4]);
    expect(ticks(5, 5)).toEqual([]);
    expect(readAt({ name: '', points: [{ step: 5, value: 1 }] }, 4)).toBeNull();
  });
});

test('the page loads nothing but its own script and style sheet', () => {
  const html = panelHtml({
    source: 'https://own',
    script: 'https://own/a.js',
    style: 'https://own/a.css',
    nonce: 'N1',
  });
  expect(html).toContain("default-src 'none'; script-src 'nonce-N1'; style-src https://own 'nonce-N1'");
  expect(html).not.toMatch(/unsafe|<style|style=|onload|javascript:/);
  expect(html.match(/<script/g)).toHaveLength(1);
});
