import { describe, expect, test } from 'vitest';
import type { CliEvent } from '../../server/cli/command.ts';
import { ProgressConsole } from '../../server/cli/console.ts';
import {
  bytes,
  cut,
  duration,
  figure,
  harmless,
  percent,
  percentInterval,
  points,
  table,
  width,
} from '../../server/cli/render.ts';

test.each([
  [0, '0.0 s'],
  [9.94, '9.9 s'],
  [9.96, '10 s'],
  [99.4, '99 s'],
  [99.6, '2 min'],
  [3600, '60 min'],
  [5970, '1 h 40 min'],
  [7200, '2 h'],
  [86_400 * 2, '2 d'],
  [86_400 * 2 + 3600 * 5, '2 d 5 h'],
  [86_400 * 3 - 60, '3 d'],
])('duration of %d s is %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [34_400, '34 kB'],
  [999_600, '1.0 MB'],
  [512_000_000, '512 MB'],
  [4_300_000_000_000_000, '4300 TB'],
])('%d bytes are %s', (count, text) => {
  expect(bytes(count)).toBe(text);
});

test('numbers', () => {
  expect([12345678, 0.123456, 1e-7, 1234567.8, -0.5, 0].map(figure)).toEqual([
    '12345678',
    '0.1235',
    '1.00e-7',
    '1.23e+6',
    '-0.5',
    '0',
  ]);
  expect(percent(0.6128)).toBe('61.3 %');
  expect(percentInterval(0.5821, 0.6439)).toBe('[58.2, 64.4]');
  expect([points(0.312), points(-0.004), points(0), points(-0.0001)]).toEqual([
    '+31.2',
    '-0.4',
    '+0.0',
    '-0.0',
  ]);
});

test('tables: numbers to the right, wide characters counted', () => {
  const rows = [
    ['目标', '60.8 %', '+31.3'],
    ['copy', '9.1 %', '-0.4'],
    ['sort', '-', ''],
  ];
  expect(table(['suite', 'base', 'gain'], rows)).toBe(
    ['suite    base   gain', '目标   60.8 %  +31.3', 'copy    9.1 %   -0.4', 'sort        -', ''].join('\n'),
  );
});

test('a text of a model cannot steer the terminal', () => {
  expect(harmless('a\u001b[2Jb\r\u009bc\td\n')).toBe('a\\x1b[2Jb\\x0d\\x9bc\td\n');
});

test('terminal width', () => {
  expect(['abc', '数学', '😀', 'e\u0301', '한'].map(width)).toEqual([3, 4, 2, 1, 2]);
  expect(cut('abcdef', 4)).toBe('abc…');
  expect(cut('数学数学', 6)).toBe('数学…');
  expect(cut('abc', 3)).toBe('abc');
});

describe('progress', () => {
  function progress(done: number): CliEvent {
    return {
      event: 'progress',
      stage: 'mask',
      done,
      total: 200,
      unit: 'steps',
      remaining: 75,
      figures: { loss: 0.123456 },
    };
  }

  function show(
    isTTY: boolean,
    events: [time: number, event: CliEvent][],
    quiet = false,
    columns = 80,
  ): string {
    let text = '';
    let time = 0;
    const console = new ProgressConsole(
      { write: (part) => (text += part), isTTY, columns },
      quiet,
      () => time,
    );
    for (const [at, event] of events) {
      time = at;
      console.show(event);
    }
    console.clear();
    return text;
  }

  test('on a terminal one line is redrawn, at most ten times a second, and cut to the width', () => {
    const text = show(true, [
      [0, { event: 'stage', stage: 'mask', status: 'started' }],
      [0, progress(50)],
      [50, progress(51)],
      [100, progress(100)],
    ]);
    const lines = text.split('\r\x1b[2K');
    expect(lines).toEqual([
      '',
      'mask [#####...............] 25 %, 50/200 steps, 75 s left, loss 0.1235',
      'mask [##########..........] 50 %, 100/200 steps, 75 s left, loss 0.1235',
      '',
    ]);
    expect(show(true, [[0, progress(50)]], false, 30)).toContain('mask [#####...............] …');
  });

  test('a message on a terminal does not run into the progress line', () => {
    const message: CliEvent = { event: 'message', level: 'warning', text: 'slow disk' };
    const text = show(true, [
      [0, progress(50)],
      [1, message],
    ]);
    expect(text.endsWith('left, loss 0.1235\r\x1b[2Kwarning: slow disk\n')).toBe(true);
  });

  test('in a log a line comes per tenth, but not more often than every ten seconds', () => {
    const events: [number, CliEvent][] = Array.from({ length: 200 }, (_, i) => [i * 1000, progress(i + 1)]);
    const lines = show(false, events).trimEnd().split('\n');
    expect(lines).toHaveLength(10);
    expect(lines[0]).toBe('mask: 10 %, 20/200 steps, 75 s left, loss 0.1235');
    const fast: [number, CliEvent][] = events.map(([, event], i) => [i * 10, event]);
    expect(show(false, fast).trimEnd().split('\n')).toHaveLength(1);
    expect(show(false, events)).not.toContain('\r');
  });

  test('--quiet leaves warnings', () => {
    const events: [number, CliEvent][] = [
      [0, progress(100)],
      [1, { event: 'message', level: 'info', text: 'fine' }],
      [2, { event: 'message', level: 'warning', text: 'not fine' }],
    ];
    expect(show(false, events, true)).toBe('warning: not fine\n');
  });
});
