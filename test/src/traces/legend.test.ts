import { describe, expect, test } from 'vitest';
import {
  type LegendState,
  legendMarkdown,
  legendNote,
  pushSwatches,
  stateName,
  swatches,
} from '../../../src/traces/legend.ts';

const state = (over: Partial<LegendState>): LegendState => ({
  overlay: 'surprisal',
  deviations: false,
  done: 5,
  total: 5,
  patches: [],
  problem: null,
  ...over,
});

describe('legend', () => {
  test('gives every bucket its limit and its colour', () => {
    expect(swatches('surprisal').map(({ text }) => text)).toEqual(['≥ 0.5', '≥ 1', '≥ 2', '≥ 4', '≥ 8']);
    expect(swatches('probability').map(({ text }) => text)).toEqual([
      '≤ 90 %',
      '≤ 70 %',
      '≤ 50 %',
      '≤ 20 %',
      '≤ 5 %',
    ]);
    expect(new Set(swatches('entropy').map(({ color }) => color)).size).toBe(5);
  });

  test('tells the sides of an attribution, and its strengths, without their hues', () => {
    const [toward, away] = [pushSwatches('toward'), pushSwatches('away')];
    expect(toward.map(({ text }) => text)).toEqual(['10', '25', '50', '75']);
    for (const { mark } of toward) expect(mark).toMatch(/^underline /);
    for (const { mark } of away) expect(mark).toMatch(/^overline /);
    expect(new Set([...toward, ...away].map(({ mark }) => mark)).size).toBe(8);
    expect(new Set([...toward, ...away].map(({ color }) => color)).size).toBe(8);
    const markdown = legendMarkdown(state({}));
    expect(markdown).toContain('a line below, toward the desired token');
    expect(markdown).toContain('a line above, toward the undesired one');
  });

  test('says the unit, how far scoring is, and which model it is of', () => {
    expect(legendNote(state({}))).toBe('nats');
    expect(legendNote(state({ done: 2, total: 5 }))).toBe('nats · 2 of 5 tokens');
    expect(legendNote(state({ overlay: 'off', patches: [{ file: '/r/p.safetensors', scale: 0.5 }] }))).toBe(
      'p.safetensors × 0.5',
    );
    expect(legendNote(state({ problem: 'm: is not there. Choose a model.' }))).toBe(
      'm: is not there. Choose a model.',
    );
  });

  test('names a stack of patches in order', () => {
    expect(stateName([])).toBe('base');
    expect(
      stateName([
        { file: 'C:\\runs\\a.safetensors', scale: 1 },
        { file: '/runs/b.safetensors', scale: -0.25 },
      ]),
    ).toBe('a.safetensors + b.safetensors × -0.25');
  });

  test('colours its swatches with theme colours alone, in the form that the editor lets through', () => {
    const markdown = legendMarkdown(state({ overlay: 'entropy', deviations: true }));
    const styles = [...markdown.matchAll(/style="([^"]*)"/g)].map((match) => match[1]);
    expect(styles).toHaveLength(13);
    for (const style of styles) expect(style).toMatch(/^background-color:var\(--vscode(-[a-zA-Z0-9]+)+\);$/);
    expect(markdown).toContain('**Entropy** (nats)');
    expect(markdown).toContain('Dotted underline');
    expect(legendMarkdown(state({ overlay: 'off' }))).toContain('No overlay');
  });
});
