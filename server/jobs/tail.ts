import { open } from 'node:fs/promises';

const CHUNK_BYTES = 1 << 20;

/** The lines that are appended to a file, each once, in order. */
export class Tail {
  private readonly file: string;
  private readonly onLine: (line: string) => void;
  private offset = 0;
  /** The beginning of a line whose end has not been written yet. */
  private rest: Buffer[] = [];
  private reading: Promise<void> = Promise.resolve();

  constructor(file: string, onLine: (line: string) => void) {
    this.file = file;
    this.onLine = onLine;
  }

  /** Reads what is new; resolves when everything that was there at the call has been handed on. */
  read(): Promise<void> {
    this.reading = this.reading.then(() => this.readOn());
    return this.reading;
  }

  private async readOn(): Promise<void> {
    const file = await open(this.file, 'r').catch(() => null);
    if (!file) return;
    try {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      for (;;) {
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, this.offset);
        if (bytesRead === 0) return;
        this.offset += bytesRead;
        this.take(chunk.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  }

  private take(bytes: Buffer): void {
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const line = Buffer.concat([...this.rest, bytes.subarray(start, end)]).toString('utf8');
      this.rest = [];
      start = end + 1;
      if (line !== '') this.onLine(line);
    }
    // A copy: the chunk is read into again.
    if (start < bytes.length) this.rest.push(Buffer.from(bytes.subarray(start)));
  }
}
