import { describe, expect, test } from 'vitest';
import type { RunRow } from '../../server/protocol/runs.ts';
import { meantRun } from '../../src/panel/meant-run.ts';

const row = (folder: string, pairs: string | null = `${folder}/pairs.jsonl`): RunRow => ({
  ...{ folder, name: folder.slice(1), status: 'finished', created: '', model: '/m', seed: 0, device: 'cpu' },
  ...{ stages: [], job: null, target: null, components: null, error: null, pivots: null },
  files: { patch: null, mask: null, report: null, traces: null, pairs },
});

describe('the run whose circuit is meant', () => {
  const [a, b, bare] = [row('/a'), row('/b'), row('/bare', null)];

  test('is the one that is named, before the active trace’s', () => {
    expect(meantRun([a, b], '/a', '/b')).toBe(a);
    expect(meantRun([a, b], null, '/x/../b')).toBe(b);
  });

  test('is the only one with pairs', () => {
    expect(meantRun([bare, a], null, null)).toBe(a);
    expect(meantRun([bare, a], null, '/elsewhere')).toBe(a);
  });

  test('must be chosen where there are several, or none', () => {
    expect(meantRun([a, b], null, null)).toBe(null);
    expect(meantRun([bare], null, null)).toBe(null);
    expect(meantRun([], '/a', '/a')).toBe(null);
  });
});
