import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Coalesced } from '../../../src/traces/coalesced.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('requests of a while are one run', () => {
  const run = vi.fn();
  const paint = new Coalesced(run, 16);
  for (let i = 0; i < 40; i++) {
    paint.request();
    vi.advanceTimersByTime(1);
  }
  expect(run).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(100);
  expect(run).toHaveBeenCalledTimes(3);
});

test('waiting for a pause, there is none until it comes', () => {
  const run = vi.fn();
  const settle = new Coalesced(run, 60, true);
  for (let i = 0; i < 10; i++) {
    settle.request();
    vi.advanceTimersByTime(59);
  }
  expect(run).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(run).toHaveBeenCalledTimes(1);
});

test('what is disposed of does not run', () => {
  const run = vi.fn();
  const paint = new Coalesced(run, 16);
  paint.request();
  paint.dispose();
  vi.advanceTimersByTime(100);
  expect(run).not.toHaveBeenCalled();
});
