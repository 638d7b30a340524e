import fs from 'node:fs';
import { expect, test } from 'vitest';
import { Cancelled, InputError } from '../../server/errors.ts';
import { cca, recorder } from './harness.ts';

test('the result goes to stdout, progress to stderr', async () => {
  const handlers = recorder([], async (_, io) => {
    io.emit({ event: 'stage', stage: 'probe', status: 'started' });
    io.emit({ event: 'stage', stage: 'probe', status: 'finished', seconds: 3 });
    return { data: { devices: ['cpu'] }, text: 'cpu\n' };
  });
  const stderr = 'probe: started\nprobe: done in 3.0 s\n';
  expect(await cca(['devices'], handlers)).toEqual({ code: 0, stdout: 'cpu\n', stderr });
  expect(await cca(['devices', '--quiet'], handlers)).toEqual({ code: 0, stdout: 'cpu\n', stderr: '' });
});

test('--json prints one object per event, the result last, and nothing else', async () => {
  const handlers = recorder([], async (_, io) => {
    expect(io.json).toBe(true);
    io.emit({ event: 'partial', kind: 'trace', text: 'two\nlines' });
    io.emit({ event: 'progress', stage: 'probe', done: 1, total: 2, unit: 'steps', remaining: null });
    return { data: { devices: ['cpu'] }, text: 'cpu\n' };
  });
  const { code, stdout, stderr } = await cca(['devices', '--json'], handlers);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout.endsWith('\n')).toBe(true);
  const events = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map((event) => event.event)).toEqual(['partial', 'progress', 'result']);
  expect(events[2]).toEqual({ event: 'result', devices: ['cpu'] });
});

test('bad input is exit code 2 and one line; with --json an event as well', async () => {
  const handlers = recorder([], async () => {
    throw new InputError('traces.jsonl:7', 'is not JSON', 'Correct the line.');
  });
  const line = 'cca devices: traces.jsonl:7: is not JSON. Correct the line.\n';
  expect(await cca(['devices'], handlers)).toEqual({ code: 2, stdout: '', stderr: line });
  const { stdout, stderr } = await cca(['devices', '--json'], handlers);
  expect(stderr).toBe(line);
  expect(JSON.parse(stdout)).toMatchObject({ event: 'error', kind: 'input', where: 'traces.jsonl:7' });
});

test('a defect is exit code 1, one line, and a log with the stack; --debug prints the stack', async () => {
  const handlers = recorder([], async () => {
    throw new Error('shapes differ:\n[1, 2] and [3]', { cause: new TypeError('inner') });
  });
  const { code, stdout, stderr } = await cca(['devices'], handlers);
  expect([code, stdout]).toEqual([1, '']);
  const log = /^cca devices: failed: shapes differ: \[1, 2\] and \[3\] \(details: (.*)\)\n$/.exec(
    stderr,
  )![1]!;
  const text = fs.readFileSync(log, 'utf8');
  fs.rmSync(log);
  expect(text).toContain('outcome.test.ts');
  expect(text).toContain('caused by: TypeError: inner');
  const debug = await cca(['devices', '--debug'], handlers);
  expect(debug.stderr).toContain('    at ');
  fs.rmSync(/details: (.*)\)/.exec(debug.stderr)![1]!);
});

test('Cancelled without Ctrl-C is a defect, not a success', async () => {
  const handlers = recorder([], async () => {
    throw new Cancelled();
  });
  const { code, stderr } = await cca(['devices'], handlers);
  expect(code).toBe(1);
  fs.rmSync(/details: (.*)\)/.exec(stderr)![1]!);
});
