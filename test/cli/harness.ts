import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { runCli } from '../../server/cli/cli.ts';
import type { Io, Result } from '../../server/cli/command.ts';
import { COMMANDS, type Handlers } from '../../server/cli/commands/index.ts';

export interface Call {
  command: string;
  values: Record<string, unknown>;
  given: string[];
}

/** A folder with a model folder, problems and so on for options that want existing paths; the working folder of the tests. */
export function workspace(): string {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'cli-'));
  afterAll(() => fs.rmSync(root, { recursive: true, force: true }));
  fs.mkdirSync(path.join(root, 'model'));
  for (const name of [
    'problems.jsonl',
    'pairs.jsonl',
    'mask.json',
    'facts.jsonl',
    'a=b.jsonl',
    'patch.safetensors',
  ]) {
    fs.writeFileSync(path.join(root, name), '');
  }
  return root;
}

type Act = (values: Record<string, unknown>, io: Io) => Promise<Result>;

/** Handlers that note the call and then `act`. */
export function recorder(calls: Call[], act: Act = async () => ({ data: {}, text: '' })): Handlers {
  const entries = Object.keys(COMMANDS).map((command) => {
    const handler: Act = (values, io) => {
      calls.push({ command, values, given: [...io.given] });
      return act(values, io);
    };
    return [command, handler];
  });
  return Object.fromEntries(entries) as Handlers;
}

/** Runs a command line within this process. */
export async function cca(
  line: string[],
  handlers: Handlers,
): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const code = await runCli(line, handlers, {
    version: '1.2.3',
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
  });
  return { code, stdout, stderr };
}
