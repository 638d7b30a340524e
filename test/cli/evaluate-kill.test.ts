import fs from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, cca, result, scratch } from './built.ts';

const demo = path.resolve(import.meta.dirname, '../../media/demo');
const root = scratch();
const samples = (out: string) => path.join(root, out, 'evaluate-samples.jsonl');
const lines = (out: string) => fs.readFileSync(samples(out), 'utf8').split('\n');
const evaluate = (out: string) => [
  ...['evaluate', '--model', path.join(demo, 'model'), '--problems', path.join(demo, 'data', 'test.jsonl')],
  // One unit of work, a few answers at a time.
  ...['--limit', '160', '--batch', '4', '--threads', '1', '--out', path.join(root, out)],
];

beforeAll(build);

test('a killed evaluation has written every answer that it had told of, and ends with the same bytes', async () => {
  await result(evaluate('whole'));
  // Batches of four refill as answers end, so what is told and not yet in order is a handful.
  const when = '"done":40,';
  const killed = await cca([...evaluate('killed'), '--json'], { kill: { signal: 'SIGKILL', when } });
  expect(killed.code).toBeNull();
  const left = lines('killed').slice(0, -1);
  expect(left.length).toBeGreaterThanOrEqual(30);
  expect(left.length).toBeLessThan(160);
  expect(left).toEqual(lines('whole').slice(0, left.length));
  await result(evaluate('killed'));
  expect(fs.readFileSync(samples('killed')).equals(fs.readFileSync(samples('whole')))).toBe(true);
});
