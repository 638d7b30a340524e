import { describe, expect, test } from 'vitest';
import type { JobCost } from '../../server/protocol/jobs.ts';
import { costLine, span, stagesLine } from '../../src/commands/cost.ts';

const cost = (own: Partial<JobCost> = {}): JobCost => ({
  seconds: { low: 100, high: 290 },
  memory: 350 * 2 ** 20,
  disk: 12 * 2 ** 20,
  free: 80 * 2 ** 30,
  device: 'cpu',
  threads: 2,
  from: 'measurement',
  stages: [
    { name: 'generate', seconds: { low: 0, high: 0 }, kept: true },
    { name: 'amplify', seconds: { low: 100, high: 290 }, kept: false },
    { name: 'evaluate', seconds: null, kept: false },
  ],
  ...own,
});

describe('what a job costs', () => {
  test.each([
    [100, 290, '2 to 5 min'],
    [3, 8, '3 to 8 s'],
    [50, 200, '50 s to 3 min'],
    [121, 130, '2 min'],
    [7200, 18_000, '2 to 5 h'],
    [4800, 18_000, '1 h 20 min to 5 h'],
    [7200, 8000, '2 h to 2 h 13 min'],
    [600, 7800, '10 min to 2 h 10 min'],
  ])('%d to %d seconds: %s', (low, high, text) => {
    expect(span({ low, high })).toBe(text);
  });

  test('time and where, memory, disk', () => {
    expect(costLine(cost())).toBe('about 2 to 5 min on CPU, 2 threads · 350 MB of memory · 12 MB on disk');
    const plain = { seconds: null, device: null, threads: null, disk: null };
    expect(costLine(cost(plain))).toBe('time not known · 350 MB of memory');
    expect(costLine(cost({ free: 2 ** 20, device: 'webgpu', threads: null }))).toBe(
      'about 2 to 5 min on WEBGPU · 350 MB of memory · 12 MB on disk, only 1 MB free',
    );
  });

  test('stage by stage; a forecast says that it is one', () => {
    expect(stagesLine(cost())).toBe(
      'traces kept · training 2 to 5 min · evaluation · forecast from a moment’s measurement',
    );
    expect(stagesLine(cost({ from: 'runs' }))).toBe('traces kept · training 2 to 5 min · evaluation');
  });
});
