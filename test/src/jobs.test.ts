import { describe, expect, test } from 'vitest';
import type { JobState } from '../../server/protocol/jobs.ts';
import type { RunReport, RunRow } from '../../server/protocol/runs.ts';
import { ago, bytes, duration, percent, points, pValue } from '../../src/format.ts';
import {
  annotationLine,
  gainLine,
  progressLine,
  share,
  stageLabel,
  studyLine,
} from '../../src/jobs/describe.ts';
import { statusOf } from '../../src/jobs/status-text.ts';
import {
  jobContext,
  type RunNode,
  runChildren,
  runContext,
  runDescription,
  runFigures,
} from '../../src/views/run-nodes.ts';

const job = (own: Partial<JobState> = {}): JobState => ({
  id: '1',
  title: 'Amplify: demo',
  spec: {
    experiment: '/w/experiment.json',
    out: null,
    until: null,
    redo: null,
    from: null,
    pairs: null,
    circuit: null,
    seed: null,
    variants: null,
    set: {},
  },
  run: '/w/runs/demo',
  state: 'running',
  error: null,
  stage: 'amplify',
  stages: [
    { name: 'generate', status: 'kept' },
    { name: 'localize', status: 'finished' },
    { name: 'amplify', status: 'running' },
    { name: 'evaluate', status: 'waiting' },
  ],
  done: 30,
  total: 60,
  unit: 'steps',
  share: 0.5,
  stageRemaining: 8,
  remaining: 90,
  atMost: false,
  tokensPerSecond: 812,
  memory: 640 * 2 ** 20,
  figures: {},
  started: 0,
  ended: null,
  endingTraining: false,
  restarts: 0,
  device: 'cpu',
  ...own,
});

const row = (own: Partial<RunRow> = {}): RunRow => ({
  folder: '/w/runs/demo',
  name: 'demo',
  status: 'finished',
  created: '2026-01-01T00:00:00.000Z',
  model: '/w/model',
  seed: 1,
  device: 'cpu',
  stages: [
    { name: 'generate', status: 'finished', seconds: 12 },
    { name: 'amplify', status: 'begun', seconds: 0 },
  ],
  job: null,
  target: { base: 0.643, amplified: 0.943, gain: 0.3, interval: [0.271, 0.329], n: 1020 },
  components: 16,
  pivots: null,
  files: { patch: '/p', mask: '/m', report: '/r', traces: '/t', pairs: null },
  error: null,
  ...own,
});

describe('words', () => {
  test.each([
    [0.4, '0 s'],
    [89, '89 s'],
    [90, '2 min'],
    [3599, '1 h'],
    [3600, '1 h'],
    [4800, '1 h 20 min'],
    [7200, '2 h'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  test('sizes, shares, differences, p values, ages', () => {
    expect([bytes(350 * 2 ** 20), bytes(1.5 * 2 ** 30)]).toEqual(['350 MB', '1.5 GB']);
    expect([percent(0.6434), points(0.3), points(-0.003), points(0)]).toEqual([
      '64.3 %',
      '+30.0',
      '\u22120.3',
      '0.0',
    ]);
    expect([pValue(0.0001), pValue(0.25), pValue(1)]).toEqual(['< 0.001', '0.25', '1.0']);
    const day = 86_400_000;
    expect([ago(0, 5000), ago(0, 120_000), ago(0, day), ago(0, 3 * day)]).toEqual([
      'just now',
      '2 min ago',
      'yesterday',
      '3 days ago',
    ]);
  });
});

describe('a job', () => {
  test.each([
    [job(), 'training 30 / 60 steps · 8 s left, 2 min in all'],
    [job({ stageRemaining: null }), 'training 30 / 60 steps · 2 min left'],
    [job({ remaining: null, total: 0 }), 'training · 8 s left'],
    [job({ atMost: true }), 'training 30 / 60 steps · at most 8 s left, 2 min in all'],
    [job({ remaining: 8 }), 'training 30 / 60 steps · 8 s left'],
    [job({ stage: null }), 'starting'],
    [job({ state: 'cancelling' }), 'stopping; what is finished is kept'],
    [job({ endingTraining: true }), 'ending the training; the best step is kept'],
  ])('says how far it is %#', (state, line) => {
    expect(progressLine(state)).toBe(line);
  });

  test('its share counts ended stages and the part of the running one', () => {
    expect(share(job())).toBe(2.5 / 4);
    expect(share(job({ stages: [] }))).toBe(0);
    expect(share(job({ share: 1 }))).toBe(3 / 4);
  });

  test('a study over seeds is one line', () => {
    const seeds = [1, 2].map((seed) => ({ seed, folder: `/w/seed-${seed}`, gain: 0.3 }));
    const figures = { folder: '/w', seeds, base: 0.643, gain: { mean: 0.299, error: 0.001 }, worst: 0.294 };
    expect(studyLine(figures)).toBe('2 seeds: 64.3 % before, +29.9 ± 0.1 points on average, worst +29.4');
    const one = { ...figures, seeds: seeds.slice(1), gain: { mean: 0.299, error: null } };
    expect(studyLine(one)).toBe('1 seed: 64.3 % before, +29.9 points on average, worst +29.4');
  });

  test('what was annotated is counted, and what is nothing is not named', () => {
    const said = { pairs: 41, accepted: 3, edited: 2, marked: 1 };
    expect(annotationLine({ ...said, source: '/w/runs/demo' })).toBe(
      '41 pairs: 3 accepted, 2 changed, 1 marked by hand',
    );
    const documents = { run: null, documents: 9, changed: 9, rejected: 1, excluded: 2 };
    expect(annotationLine({ ...documents, ...said, pairs: 1, accepted: 0, edited: 0 })).toBe(
      '1 pair: 1 marked by hand · 1 pivot rejected, 2 traces excluded',
    );
    expect(
      annotationLine({ ...documents, pairs: 4, accepted: 0, edited: 0, marked: 0, rejected: 0, excluded: 0 }),
    ).toBe('4 pairs');
  });

  test('stages have names, unknown ones their own', () => {
    expect(['mask', 'variant-lora', 'other'].map(stageLabel)).toEqual(['circuit', 'control: lora', 'other']);
  });

  test('a report gives its gain, none without a target', () => {
    const side = (accuracy: number) => ({ accuracy, n: 1020, interval: [0, 1] as [number, number] });
    const target = {
      name: 'target',
      kind: 'target' as const,
      gain: 0.3,
      gainInterval: [0.271, 0.329] as [number, number],
      p: 0,
    };
    const report: RunReport = {
      folder: '/w/runs/demo',
      suites: [{ ...target, base: side(0.643), amplified: side(0.943) }],
      circuit: { components: 16, total: 1600, weights: 2048, byKind: {} },
      variants: [],
      pivots: null,
    };
    expect(gainLine(report)).toBe('64.3 % → 94.3 % of 1,020 problems (+30.0 points, 95 % +27.1 to +32.9)');
    expect(gainLine({ ...report, suites: [] })).toBeNull();
  });
});

describe('the status bar', () => {
  const engine = {
    ...{ state: 'idle' as const, device: 'cpu', model: '/m', tokensPerSecond: 95 },
    ...{ memory: 300 * 2 ** 20, failure: null },
  };

  test('without a job it is the engine’s', () => {
    expect(statusOf('running', engine, [])).toMatchObject({
      text: '$(circuit-board) CPU · 95 tok/s · 300 MB',
      failed: false,
      job: false,
    });
    expect(statusOf('failed', null, [job()])).toMatchObject({ failed: true, job: false });
    // What was last heard of a job is old while the process that hears of it is started.
    expect(statusOf('starting', null, [job()])).toMatchObject({
      text: '$(sync) Circuit engine',
      job: false,
    });
  });

  test('nothing in it turns, whatever the engine does', () => {
    for (const state of ['idle', 'busy', 'failed'] as const) {
      for (const server of ['starting', 'running', 'failed'] as const) {
        for (const jobs of [[], [job()]])
          expect(statusOf(server, { ...engine, state }, jobs).text).not.toMatch(/~spin|\$\(loading/);
      }
    }
  });

  test('a job has its stage, share and remaining time in it, and the rest in the tooltip', () => {
    const status = statusOf('running', engine, [job({ title: 'Amplify: my_demo' })]);
    expect(status).toMatchObject({ text: '$(sync) training 50 % · 2 min left', job: true });
    expect(status.lines.slice(0, 3)).toEqual([
      '**Amplify: my\\_demo**',
      'training 30 / 60 steps · 8 s left, 2 min in all',
      'CPU · 812 tokens per second · 640 MB of memory',
    ]);
    expect(status.lines).toContain('Memory: 300 MB');
  });

  test.each([
    [{ stage: null }, 'starting'],
    [{ state: 'cancelling' }, 'stopping'],
    [{ remaining: null }, 'training 50 % · 8 s left'],
    [{ remaining: null, stageRemaining: null }, 'training 50 %'],
    [{ atMost: true }, 'training 50 % · at most 2 min left'],
  ] as const)('%j: %s', (own, text) => {
    expect(statusOf('running', null, [job(own)]).text).toBe(`$(sync) ${text}`);
  });

  test('the newest of several jobs, and how many there are besides', () => {
    const { text, lines } = statusOf('running', null, [
      job(),
      job({ title: 'Evaluate: b', device: null, tokensPerSecond: null, memory: null }),
    ]);
    expect(text).toBe('$(sync) training 50 % · 2 min left  +1');
    expect(lines).toContain('**Evaluate: b**');
  });
});

describe('a run in the view', () => {
  const node = (own: Partial<RunRow> = {}, of?: JobState): RunNode => ({
    kind: 'run',
    row: row(own),
    job: of,
  });
  const now = Date.parse('2026-01-01T01:00:00.000Z');

  test('a finished one says what it gained', () => {
    expect(runDescription(node(), now)).toBe('+30.0 points · 16 components · 1 h ago');
    expect(runContext(node()).split(' ')).toEqual(['run', 'finished', 'patch', 'mask', 'report', 'traces']);
  });

  test('a running one says how far it is, and can be cancelled, not resumed', () => {
    const running = node({ status: 'running' }, job());
    expect(runDescription(running, now)).toContain('training 30 / 60');
    expect(runContext(running).split(' ')).toContain('job-running');
    expect(runContext(running)).not.toContain('resumable');
  });

  test.each([
    ['at its steps', job(), true],
    ['that is ending already', job({ endingTraining: true }), false],
    ['before its steps', job({ stage: 'mask' }), false],
    ['whose patch is written', job({ stage: 'evaluate' }), false],
    ['that is being cancelled', job({ state: 'cancelling' }), false],
    ['that has ended', job({ state: 'finished' }), false],
  ])('a training %s can be ended early, or not', (_, of, can) => {
    expect(jobContext(of).split(' ').includes('job-training')).toBe(can);
    expect(
      runContext(node({ status: 'running' }, of))
        .split(' ')
        .includes('job-training'),
    ).toBe(can);
  });

  test.each(['failed', 'cancelled', 'interrupted'] as const)('one that is %s can be resumed', (status) => {
    expect(runContext(node({ status }, job({ state: 'failed' }))).split(' ')).toEqual(
      expect.arrayContaining([status, 'resumable', 'job-ended']),
    );
    expect(runDescription(node({ status, target: null }), now)).toContain(status);
  });

  test('one on annotated pivots says whose, and how many are by hand', () => {
    const pivots = { source: '/w/runs/demo', pairs: 41, accepted: 3, edited: 0, marked: 0 };
    expect(runFigures({ kind: 'run', row: row({ pivots }), job: undefined })).toContain(
      'Pivots of /w/runs/demo: 41 pairs: 3 accepted',
    );
  });

  test('its children are stages, with the job’s own word on them, and files', () => {
    const children = runChildren(node({ status: 'running' }, job()));
    const stages = children.flatMap((child) =>
      child.kind === 'stage' ? [[child.name, child.status, child.detail]] : [],
    );
    expect(stages).toEqual([
      ['traces', 'kept', '12 s'],
      ['training', 'running', 'training 30 / 60 steps · 8 s left, 2 min in all'],
      ['pivots', 'finished', ''],
      ['evaluation', 'waiting', ''],
    ]);
    const files = children.flatMap((child) => (child.kind === 'file' ? [child.name] : []));
    expect(files).toEqual(['report.json', 'mask.json', 'patch.safetensors', 'traces.jsonl']);
  });
});
