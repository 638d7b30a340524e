import { describe, expect, test } from 'vitest';
import type { ModelConfig } from '../../server/checkpoint/config.ts';
import { ComponentSpace, componentKinds } from '../../server/model/components.ts';
import { Bits } from '../../webview/circuit/bits.ts';
import { fillIntensity, fillMarks, Mark, makeCells } from '../../webview/circuit/cells.ts';
import {
  between,
  blockAt,
  cellOf,
  hit,
  layerMap,
  nearest,
  overview,
  rangeOf,
  rectOf,
} from '../../webview/circuit/geometry.ts';
import { begin, change, redo, undo } from '../../webview/circuit/history.ts';
import { type Key, keyAction } from '../../webview/circuit/keys.ts';
import { measure } from '../../webview/circuit/meter.ts';
import {
  atLeast,
  countAtSlider,
  parseBudget,
  Ranking,
  SLIDER,
  sliderAtCount,
  topK,
} from '../../webview/circuit/rank.ts';
import { Space } from '../../webview/circuit/space.ts';
import { decodeFloats, figure, fixed, intensity, makeLayer } from '../../webview/circuit/values.ts';
import { cellWords } from '../../webview/circuit/words.ts';
import { demo } from './data.ts';

const shape = { layers: 3, heads: 4, kvHeads: 2, neurons: 10, headDim: 8, hiddenSize: 32 };
const space = new Space(shape);
const all = { q: true, k: true, v: true, mlp: true };
/** Deterministic numbers in [0, 1). */
const noise = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
};

test("components stand where the engine's flat order has them", () => {
  const config = { numLayers: 3, numHeads: 4, numKvHeads: 2, intermediateSize: 10 } as ModelConfig;
  const engine = new ComponentSpace(config);
  expect(space.size).toBe(engine.size);
  for (let i = 0; i < space.size; i++) expect(space.at(i)).toEqual(engine.at(i));
  for (const kind of componentKinds) expect(space.offset(kind, 2)).toBe(engine.offset(kind, 2));
});

describe('a set of positions', () => {
  const random = noise(7);
  const members = Array.from({ length: 100 }, (_, i) => i).filter(() => random() < 0.3);
  const bits = Bits.of(100, members);

  test('gives back what was put in', () => {
    expect(bits.positions()).toEqual(members);
    expect(bits.count).toBe(members.length);
    expect(Bits.of(10, [-1, 3, 10, 99]).positions()).toEqual([3]);
    expect(Bits.inRanges(100, [[0, 100]], (i) => members.includes(i)).equals(bits)).toBe(true);
  });

  test('counts within any range', () => {
    for (const [first, length] of [
      [0, 100],
      [5, 1],
      [31, 2],
      [10, 80],
      [64, 36],
      [50, 0],
    ] as const) {
      const counted = members.filter((i) => i >= first && i < first + length).length;
      expect(bits.countIn(first, length)).toBe(counted);
    }
  });

  test('ranges go in and out without touching the set itself', () => {
    const more = bits.with([[20, 40]], true);
    expect(more.countIn(20, 40)).toBe(40);
    expect(more.with([[0, 100]], false).count).toBe(0);
    expect(bits.positions()).toEqual(members);
  });

  test('inverts within its size', () => {
    expect(bits.inverted().count).toBe(100 - members.length);
    expect(bits.inverted().inverted().equals(bits)).toBe(true);
    expect(Bits.empty(33).inverted().count).toBe(33);
    expect(Bits.empty(64).inverted().count).toBe(64);
  });

  test('compares with another', () => {
    const a = Bits.of(70, [1, 2, 3, 69]);
    expect(a.compare(Bits.of(70, [2, 3, 4]))).toEqual({ common: 2, added: 2, removed: 1 });
  });

  test('goes through text; what is no such text is the empty set', () => {
    expect(Bits.decode(100, bits.encode()).equals(bits)).toBe(true);
    for (const text of ['', 'abc', '%%%%', Bits.empty(300).encode()]) {
      expect(Bits.decode(100, text).count).toBe(0);
    }
  });
});

describe('the overview', () => {
  test.each([1500, 900, 400])('has every component once, %d pixels wide', (width) => {
    const geometry = overview(space, width);
    const seen = new Set<number>();
    for (let row = 0; row < geometry.rows; row++) {
      for (let column = 0; column < geometry.columns; column++) {
        const block = blockAt(geometry, { row, column })!;
        const [first, length] = rangeOf(block, { row, column });
        for (let i = first; i < first + length; i++) {
          expect(seen.has(i)).toBe(false);
          seen.add(i);
          expect(cellOf(geometry, i)).toEqual({ row, column });
        }
      }
    }
    expect(seen.size).toBe(space.size);
  });

  test('the last layer is on top', () => {
    const geometry = overview(space, 900);
    const [first] = rangeOf(geometry.blocks[0]!, { row: 0, column: 0 });
    expect(space.at(first)).toEqual({ kind: 'q', layer: 2, index: 0 });
  });

  test('the point in the middle of a cell hits it; between blocks nothing is hit', () => {
    const large = new Space({ ...shape, layers: 40, heads: 64, neurons: 14_336 });
    const geometry = overview(large, 1100);
    for (const block of geometry.blocks) {
      const cell = { row: block.rows - 1, column: block.column + block.columns - 1 };
      const { x, y, width, height } = rectOf(block, cell);
      expect(hit(geometry, x + width / 2, y + height / 2)).toEqual(cell);
    }
    const q = geometry.blocks[0]!;
    expect(hit(geometry, q.x + q.columns * q.cellWidth + 4, q.y + 4)).toBeNull();
    expect(geometry.width).toBeLessThanOrEqual(1100);
  });

  test('a narrow panel has the neurons below the heads', () => {
    const [q, , v, mlp] = overview(space, 400).blocks;
    expect(mlp!.y).toBeGreaterThan(v!.y);
    expect(mlp!.x).toBe(q!.x);
  });

  test('a range is the rectangle between two cells', () => {
    const geometry = overview(space, 900);
    const ranges = between(geometry, { row: 1, column: 3 }, { row: 0, column: 5 });
    const labels = Bits.empty(space.size)
      .with(ranges, true)
      .positions()
      .map((i) => space.label(i));
    expect(labels).toEqual(['L1 Q3', 'L2 Q3', 'L1 K0', 'L1 K1', 'L2 K0', 'L2 K1']);
  });
});

describe('one layer', () => {
  const geometry = layerMap(space, 1, 34 + 4 * 22);

  test('has its components once, in lines that wrap', () => {
    const seen: number[] = [];
    for (const block of geometry.blocks) {
      block.starts.forEach((first, r) => {
        for (let i = first; i < first + block.lengths[r]!; i++) seen.push(i);
      });
    }
    expect(seen.map((i) => space.at(i).layer)).toEqual(Array(18).fill(1));
    expect(new Set(seen).size).toBe(18);
    expect(geometry.blocks.at(-1)!.rows).toBeGreaterThan(1);
  });

  test('a range follows the order across lines', () => {
    const mlp = geometry.blocks.at(-1)!;
    const from = { row: mlp.row, column: mlp.columns - 1 };
    const ranges = between(geometry, { row: mlp.row + 1, column: 1 }, from);
    const first = space.offset('mlp', 1) + mlp.columns - 1;
    expect(ranges).toEqual([[first, 3]]);
  });

  test('places beyond a short last line are drawn in', () => {
    const mlp = geometry.blocks.at(-1)!;
    const last = nearest(geometry, { row: 1e9, column: 1e9 });
    expect(rangeOf(mlp, last)[0]).toBe(space.offset('mlp', 1) + 9);
  });
});

describe('cells', () => {
  const many = new Space({ ...shape, neurons: 40 });

  test('a bin has the root mean square of its neurons, relative to the fullest bin, and the sign that weighs more', () => {
    const geometry = overview(many, 200);
    const values = new Float32Array(many.size);
    const at = many.offset('mlp', 0);
    values[at] = -3;
    values[at + 1] = 1;
    const last = many.offset('mlp', 2) + 9;
    values[last] = 1.5;
    const cells = makeCells(geometry);
    fillIntensity(cells, { values, signed: true, max: 3, power: 1 });
    const mlp = cells.at(-1)!;
    const of = (position: number) => {
      const { row, column } = cellOf(geometry, position)!;
      return mlp.intensity[row * mlp.block.columns + column - mlp.block.column]!;
    };
    expect(mlp.block.perCell).toBe(2);
    expect(of(at)).toBe(1);
    expect(of(last)).toBeCloseTo(-1.5 / Math.sqrt(10), 5);
  });

  test('marks tell whole cells, parts, and differences from another selection', () => {
    const geometry = overview(many, 200);
    const cells = makeCells(geometry);
    const neuron = many.offset('mlp', 0);
    const head = many.offset('q', 1);
    const selection = Bits.of(many.size, [head, neuron, neuron + 2, neuron + 3]);
    const mark = (position: number) => {
      const { row, column } = cellOf(geometry, position)!;
      const part = cells.find(({ block }) => block === blockAt(geometry, { row, column }))!;
      return part.marks[(row - part.block.row) * part.block.columns + column - part.block.column];
    };
    fillMarks(cells, selection, null);
    expect([head, neuron, neuron + 2, neuron + 4].map(mark)).toEqual([
      Mark.all,
      Mark.part,
      Mark.all,
      Mark.none,
    ]);
    fillMarks(cells, selection, Bits.of(many.size, [head + 1, neuron + 1, neuron + 2, neuron + 3]));
    expect([head, head + 1, neuron, neuron + 2].map(mark)).toEqual([
      Mark.added,
      Mark.removed,
      Mark.mixed,
      Mark.all,
    ]);
  });
});

describe('picking by value', () => {
  const random = noise(3);
  const values = Float32Array.from({ length: space.size }, () => Math.round(20 * random()) / 20);
  const mask = makeLayer('mask', values, 'dcm');
  const ranking = new Ranking(space, mask, all);

  test('top k takes exactly k, none weaker than one left out', () => {
    for (const k of [0, 1, 7, space.size - 1, space.size]) {
      const taken = topK(space, mask, all, ranking, k);
      expect(taken.count).toBe(k);
      const inside = taken.positions().map((i) => values[i]!);
      const outside = taken
        .inverted()
        .positions()
        .map((i) => values[i]!);
      if (k > 0 && k < space.size) expect(Math.min(...inside)).toBeGreaterThanOrEqual(Math.max(...outside));
    }
  });

  test('a threshold takes what reaches it', () => {
    expect(atLeast(space, mask, all, 0.5).positions()).toEqual(
      [...values.keys()].filter((i) => values[i]! >= 0.5),
    );
  });

  test.each([false, true])('the k-th strongest is what sorting finds, signed %s', (signed) => {
    const random = noise(3);
    const sizes = [0, -0, 1, 1e-40, 1e-5, 0.25, 3e38];
    const hostile = Float32Array.from({ length: space.size }, (_, i) =>
      i % 3 === 0 ? (random() < 0.5 ? -1 : 1) * sizes[i % sizes.length]! : random() - 0.5,
    );
    const layer = { values: hostile, signed, max: 1, power: 1 };
    const strengths = [...hostile].map((value) => (signed ? -value : value));
    const sorted = strengths.toSorted((a, b) => b - a);
    const own = new Ranking(space, layer, all);
    for (let k = 1; k <= space.size; k++) {
      const limit = sorted[k - 1]!;
      const { limit: found, stronger } = own.at(k);
      expect(found === limit, `${k}: ${found}, ${limit}`).toBe(true);
      expect(stronger).toBe(strengths.filter((s) => s > limit).length);
      expect(topK(space, layer, all, own, k).count).toBe(k);
    }
  });

  test('negative attribution is what helps', () => {
    const attribution = makeLayer(
      'attribution',
      values.map((v, i) => (i === 5 ? -2 : v)),
      null,
    );
    const own = new Ranking(space, attribution, all);
    expect(topK(space, attribution, all, own, 1).positions()).toEqual([5]);
  });

  test('only the kinds that are wanted', () => {
    const filter = { q: false, k: true, v: false, mlp: false };
    const own = new Ranking(space, mask, filter);
    const taken = topK(space, mask, filter, own, 4);
    expect(taken.positions().map((i) => space.at(i).kind)).toEqual(Array(4).fill('k'));
    expect(topK(space, mask, filter, own, 100).count).toBe(6);
  });

  test('the slider goes from nothing to everything and back', () => {
    for (const total of [3, 54, 581_120]) {
      expect(countAtSlider(0, total)).toBe(0);
      expect(countAtSlider(SLIDER, total)).toBe(total);
      let last = 0;
      for (let p = 0; p <= SLIDER; p++) {
        expect(countAtSlider(p, total)).toBeGreaterThanOrEqual(last);
        last = countAtSlider(p, total);
      }
      expect(countAtSlider(sliderAtCount(total, total), total)).toBe(total);
    }
    expect(countAtSlider(sliderAtCount(5811, 581_120), 581_120) / 5811).toBeCloseTo(1, 1);
  });

  test.each([
    ['1 %', 16],
    ['0.5%', 8],
    ['0,5 %', 8],
    ['16', 16],
    ['0.001 %', 1],
    ['1601', null],
    ['101 %', null],
    ['1.5', null],
    ['', null],
    ['-1', null],
    ['ten', null],
  ])('a budget of %j is %j of 1,600', (text, count) => {
    expect(parseBudget(text, 1600)).toBe(count);
  });
});

test('the meter counts components, rows and weights', () => {
  const selection = Bits.of(space.size, [space.offset('q', 0), space.offset('v', 1), space.offset('mlp', 2)]);
  const up = measure(space, selection, 'up');
  expect(up).toMatchObject({ components: 3, total: 54, byKind: { q: 1, k: 0, v: 1, mlp: 1 } });
  expect([up.rows, up.parameters]).toEqual([17, 17 * 32]);
  expect(up.allParameters).toBe((3 * 8 * 8 + 30) * 32);
  expect(measure(space, selection, 'up+gate+down').rows).toBe(19);
});

test("the demo's circuit comes to what its report says", () => {
  const own = new Space(demo.view.shape);
  const meter = measure(own, Bits.of(own.size, demo.view.selected), 'up');
  const { circuit } = demo.report;
  expect([meter.components, meter.total, meter.parameters]).toEqual([
    circuit.components,
    circuit.total,
    circuit.weights,
  ]);
});

test('undo and redo; a gesture is undone as one', () => {
  let history = begin(0);
  history = change(history, 1);
  for (const value of [2, 3, 4]) history = change(history, value, 'drag');
  expect(undo(history).present).toBe(1);
  expect(undo(undo(history)).present).toBe(0);
  expect(undo(undo(undo(history)))).toMatchObject({ present: 0, past: [] });
  expect(redo(redo(undo(undo(history)))).present).toBe(4);
  expect(redo(change(undo(history), 9)).present).toBe(9);
});

describe('values', () => {
  test('decode, or say how many came', () => {
    const values = Float32Array.of(1.5, -2, 0);
    const base64 = Buffer.from(values.buffer).toString('base64');
    expect(decodeFloats(base64, 3)).toEqual(values);
    expect(() => decodeFloats(base64, 4)).toThrow('3 values came for 4 components');
  });

  test('a mask is shown as it is, scores by the root of their share', () => {
    const values = Float32Array.of(0, 0.25, 1, 4);
    expect(intensity(makeLayer('mask', values, 'dcm'), 0.25)).toBe(0.25);
    expect(intensity(makeLayer('mask', values, 'fisher'), 1)).toBe(0.5);
    expect(intensity(makeLayer('attribution', values, null), 4)).toBe(-1);
    expect(intensity(makeLayer('attribution', values, null), -4)).toBe(1);
    expect(intensity(makeLayer('change', new Float32Array(4), null), 0)).toBe(0);
  });

  test('figures', () => {
    expect([0, 0.123456, -0.5, 12345.6, 1e-7, 1e9].map(figure)).toEqual([
      '0',
      '0.123',
      '−0.5',
      '12300',
      '1.0e-7',
      '1.0e+9',
    ]);
    expect([0, -0.2, 1e-6].map(fixed)).toEqual(['0.000', '−0.200', '1.0e-6']);
  });

  test('a cell in words', () => {
    const values = new Float32Array(space.size);
    const neuron = space.offset('mlp', 1) + 4;
    values[neuron + 1] = -0.75;
    const layer = makeLayer('attribution', values, null);
    const selection = Bits.of(space.size, [neuron]);
    expect(cellWords(space, [neuron, 2], layer, 'attribution', selection)).toBe(
      'L1 neurons 4 to 5, strongest 5: attribution −0.75, helps, 1 of 2 selected',
    );
    expect(cellWords(space, [3, 1], null, 'mask', selection)).toBe('L0 Q3');
  });
});

describe('keys', () => {
  const geometry = overview(space, 900);
  const press = (key: string, own: Partial<Key> = {}, typed = '') =>
    keyAction(
      geometry,
      { row: 1, column: 3 },
      { key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...own },
      typed,
    );

  test.each([
    ['ArrowRight', {}, { row: 1, column: 4 }],
    ['ArrowUp', {}, { row: 0, column: 3 }],
    ['PageDown', {}, { row: 2, column: 3 }],
    ['Home', {}, { row: 1, column: 0 }],
    ['End', { ctrlKey: true }, { row: 2, column: 17 }],
    ['Home', { ctrlKey: true }, { row: 0, column: 0 }],
  ])('%s %j moves', (key, own, to) => {
    expect(press(key, own)).toEqual({ do: 'move', to, extend: false });
  });

  test('Shift extends, digits make a layer, others are left alone', () => {
    expect(press('ArrowLeft', { shiftKey: true })).toMatchObject({ extend: true });
    expect(press('2', {}, '1')).toEqual({ do: 'layer', layer: 12 });
    expect(press('a', { metaKey: true })).toEqual({ do: 'all' });
    for (const [key, own] of [
      ['a', {}],
      ['Tab', {}],
      ['ArrowLeft', { altKey: true }],
      ['s', { ctrlKey: true }],
    ] as const) {
      expect(press(key, own)).toBeNull();
    }
  });
});
