import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readJson } from '../../server/data/files.ts';
import { collect, JsonlWriter, readJsonl } from '../../server/data/jsonl.ts';
import { InputError } from '../../server/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'jsonl-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
const file = (content: string | Uint8Array): string => {
  const path = join(folder, `${count++}.jsonl`);
  writeFileSync(path, content);
  return path;
};
const records = async (path: string, options = {}) =>
  (await collect(readJsonl(path, options))).map((item) => item.record);

describe('readJsonl', () => {
  it('yields records with their line numbers; BOM, CRLF and blank lines are no trouble', async () => {
    const path = file('\uFEFF{"a":1}\r\n\r\n  \n{"a":"é😀"}');
    expect(await collect(readJsonl(path))).toEqual([
      { where: `${path}:1`, line: 1, record: { a: 1 } },
      { where: `${path}:4`, line: 4, record: { a: 'é😀' } },
    ]);
  });

  it.each([
    ['broken', '{"a":1}\n{"a":\n{"a":3}\n', ':2', /not valid JSON/],
    ['an array', '[1]\n', ':1', /not a JSON object/],
    ['null', '{"a":1}\nnull\n', ':2', /not a JSON object/],
    ['a number', '3', ':1', /not a JSON object/],
    ['empty', '', '', /has no records/],
    ['blank', '\n\n', '', /has no records/],
    ['cut short', '{"a":1}\n{"a":2', ':2', /not valid JSON/],
  ])('names file and line: %s', async (_, content, place, message) => {
    const path = file(content);
    const error = await collect(readJsonl(path)).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.where).toBe(`${path}${place}`);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
  });

  it('refuses bytes that are not UTF-8, by line', async () => {
    const path = file(Buffer.concat([Buffer.from('{"a":1}\n{"a":"'), Buffer.of(0xe9), Buffer.from('"}\n')]));
    await expect(records(path)).rejects.toThrow(`${path}:2: is not UTF-8`);
  });

  it('keeps characters whole across the blocks that it reads', async () => {
    const rows = Array.from({ length: 40_000 }, (_, i) => ({ i, text: 'é😀語' }));
    const path = file(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    expect(await records(path)).toEqual(rows);
  });

  it('streams: the first record of a large file comes without reading the rest', async () => {
    // The broken line lies past the first block, so a reader of the whole file would throw at once.
    const path = file(`${'{"a":1}\n'.repeat(100_000)}broken\n`);
    const reader = readJsonl(path);
    expect((await reader.next()).value).toMatchObject({ line: 1, record: { a: 1 } });
    await reader.return(undefined);
    await expect(records(path)).rejects.toThrow(`${path}:100001: `);
  });

  it('refuses a line that is too long to be a record', async () => {
    await expect(records(file(Buffer.alloc(65 * 2 ** 20, 'x')))).rejects.toThrow(/more than 64 MiB/);
  });

  it.each([
    ['missing', 'no/such/file', /no such file/],
    ['a folder', '.', /is a folder/],
  ])('says so when the path is %s', async (_, path, message) => {
    await expect(records(join(folder, path))).rejects.toThrow(message);
    await expect(records(join(folder, path))).rejects.toBeInstanceOf(InputError);
  });

  it('leaves out a torn last line where asked, and says so', async () => {
    const path = file('{"a":1}\n{"a":2');
    const torn: string[] = [];
    expect(await records(path, { onTorn: (where: string) => torn.push(where) })).toEqual([{ a: 1 }]);
    expect(torn).toEqual([`${path}:2`]);
  });

  it('still refuses a broken line that is not the last, or that ends in a newline', async () => {
    const onTorn = () => expect.unreachable();
    await expect(records(file('{"a":\n{"a":2}'), { onTorn })).rejects.toThrow(':1: is not valid JSON');
    await expect(records(file('{"a":1}\n{"a":\n'), { onTorn })).rejects.toThrow(':2: is not valid JSON');
  });

  it('accepts an empty file where asked', async () => {
    expect(await records(file(''), { allowEmpty: true })).toEqual([]);
  });
});

describe('JsonlWriter', () => {
  it('has every record in the file as soon as append returns, and goes on after reopening', () => {
    const path = join(folder, 'written.jsonl');
    const first = new JsonlWriter<{ a: number }>(path);
    first.append({ a: 1 });
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n');
    first.close();
    first.close();
    const second = new JsonlWriter<{ a: number }>(path);
    expect(second.torn).toBe(false);
    second.append({ a: 2 });
    second.close();
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
    new JsonlWriter(path, { fresh: true }).close();
    expect(readFileSync(path, 'utf8')).toBe('');
  });

  it.each([
    ['a torn line', '{"a":1}\n{"a":"é', '{"a":1}\n', true],
    ['a torn first line', '{"a', '', true],
    ['zeros, as some file systems leave them', '{"a":1}\n\0\0\0', '{"a":1}\n', true],
    ['a whole record without its newline', '{"a":1}\n{"a":2}', '{"a":1}\n{"a":2}\n', false],
    ['a long torn line', `{"a":1}\n{"a":"${'x'.repeat(200_000)}`, '{"a":1}\n', true],
  ])('mends %s before it appends', (_, before, mended, torn) => {
    const path = file(before);
    const writer = new JsonlWriter(path);
    expect(writer.torn).toBe(torn);
    writer.append({ b: 3 });
    writer.close();
    expect(readFileSync(path, 'utf8')).toBe(`${mended}{"b":3}\n`);
  });

  it('says so when the file cannot be opened', () => {
    expect(() => new JsonlWriter(folder)).toThrow(InputError);
    expect(() => new JsonlWriter(join(folder, 'none', 'x.jsonl'))).toThrow(/no such file or folder/);
  });

  it.runIf(existsSync('/dev/full'))('reports a full disk as bad input, in one line', () => {
    const writer = new JsonlWriter('/dev/full');
    expect(() => writer.append({ a: 1 })).toThrow(InputError);
    expect(() => writer.append({ a: 1 })).toThrow('/dev/full: no space left on the disk. Free some space');
  });
});

describe('readJson', () => {
  it('names the file and the line of a fault', async () => {
    expect(await readJson(file('\uFEFF{"a": [1]}'))).toEqual({ a: [1] });
    await expect(readJson(file('{\n  "a": 1\n  "b": 2}'))).rejects.toThrow(
      /\.jsonl:3: is not valid JSON \(Expected/,
    );
    await expect(readJson(file('{\n  "a": 1,\n  "b": oops}'))).rejects.toThrow(/"b": oops/);
    await expect(readJson(file(''))).rejects.toThrow('is empty');
    await expect(readJson(join(folder, 'none.json'))).rejects.toThrow(InputError);
  });
});
