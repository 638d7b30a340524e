import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { InputError } from '../errors.ts';
import { syncFolder, withFileErrors } from './atomic.ts';
import { exactJson, writeFully } from './disk.ts';
import type { Extent } from './replay.ts';

export const EMPTY: Extent = { bytes: 0, records: 0, crc: 0 };
const READ_BYTES = 1 << 20;

/** A JSONL file that grows by whole chunks. Bytes past the committed extent are leftovers of a killed writer and are cut off. */
export class ChunkedArtefact {
  readonly file: string;
  extent: Extent;
  private readonly fd: number;
  /** Bytes past the extent that are shown. */
  private shown = 0;

  /**
   * Opens or creates the file and cuts it to the committed extent.
   * @throws InputError when the committed part is missing or was changed
   */
  constructor(file: string, committed: Extent) {
    this.file = file;
    this.extent = committed;
    this.fd = withFileErrors(file, () => {
      const fd = fs.openSync(file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644);
      syncFolder(path.dirname(file));
      return fd;
    });
    try {
      if (this.crcOnDisk() !== committed.crc) {
        const what = 'was changed since the run wrote it, so the run cannot go on from it';
        throw new InputError(file, what, 'Restore the file, or start over with --fresh.');
      }
      withFileErrors(file, () => fs.ftruncateSync(this.fd, committed.bytes));
    } catch (error) {
      fs.closeSync(this.fd);
      throw error;
    }
  }

  /**
   * Writes records after the committed extent and those shown before, without waiting for the disk: whoever reads the file
   * sees them, also after this process was killed. `append` writes them again.
   */
  show(records: readonly unknown[]): void {
    const lines = Buffer.from(records.map((record) => `${exactJson(record)}\n`).join(''));
    withFileErrors(this.file, () => writeFully(this.fd, lines, this.extent.bytes + this.shown));
    this.shown += lines.length;
  }

  /** Appends records, one line each, and waits until they are on the disk. They count once `extent` is committed to the journal. */
  append(records: readonly unknown[]): Extent {
    const lines = Buffer.from(records.map((record) => `${exactJson(record)}\n`).join(''));
    withFileErrors(this.file, () => {
      writeFully(this.fd, lines, this.extent.bytes);
      fs.fsyncSync(this.fd);
    });
    this.shown = 0;
    return {
      bytes: this.extent.bytes + lines.length,
      records: this.extent.records + records.length,
      crc: crc32(lines, this.extent.crc),
    };
  }

  /** The committed records, in order. */
  *records(): Generator<unknown> {
    let rest = Buffer.alloc(0);
    for (const block of this.blocks()) {
      rest = Buffer.concat([rest, block]);
      let start = 0;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
        yield JSON.parse(rest.toString('utf8', start, end));
        start = end + 1;
      }
      rest = rest.subarray(start);
    }
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  private crcOnDisk(): number | null {
    let crc = 0;
    let bytes = 0;
    for (const block of this.blocks()) {
      crc = crc32(block, crc);
      bytes += block.length;
    }
    return bytes === this.extent.bytes ? crc : null;
  }

  private *blocks(): Generator<Buffer> {
    for (let at = 0; at < this.extent.bytes; ) {
      const block = Buffer.alloc(Math.min(READ_BYTES, this.extent.bytes - at));
      const read = withFileErrors(this.file, () => fs.readSync(this.fd, block, 0, block.length, at));
      if (read === 0) return;
      yield block.subarray(0, read);
      at += read;
    }
  }
}
