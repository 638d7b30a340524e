import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CommanderError } from 'commander';
import { Cancelled, InputError } from '../errors.ts';
import type { Io, Result } from './command.ts';
import { COMMANDS, type Handlers } from './commands/index.ts';
import { ProgressConsole, type Sink } from './console.ts';
import { buildProgram, type Invocation } from './program.ts';

const EXIT = { done: 0, failed: 1, badInput: 2, interrupted: 130, terminated: 143 } as const;

/** What the command line runs in. */
export interface Surroundings {
  version: string;
  stdout: Sink;
  stderr: Sink;
}

/**
 * Runs one command line.
 * @param argv the words after `cca`
 * @returns the exit code
 */
export async function runCli(argv: string[], handlers: Handlers, around: Surroundings): Promise<number> {
  let invocation: Invocation | undefined;
  try {
    const write = (text: string) => around.stdout.write(text);
    const program = buildProgram(handlers, around.version, write, (taken) => {
      invocation = taken;
    });
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return EXIT.done;
    return report(error, commandName(argv), around, argv.includes('--debug'), () => undefined);
  }
  return carryOut(invocation!, argv, handlers, around);
}

async function carryOut(
  { key, spec, values, given, output }: Invocation,
  argv: string[],
  handlers: Handlers,
  around: Surroundings,
): Promise<number> {
  const console = new ProgressConsole(around.stderr, output.quiet || output.json);
  const json = (event: object) => {
    if (output.json) around.stdout.write(`${JSON.stringify(event)}\n`);
  };
  const controller = new AbortController();
  let exitCode: number = EXIT.interrupted;
  const stop = (code: number) => () => {
    if (controller.signal.aborted) process.exit(code);
    exitCode = code;
    console.line('stopping; finished work is kept (Ctrl-C again to stop at once)');
    controller.abort(new Cancelled());
  };
  const onInterrupt = stop(EXIT.interrupted);
  const onTerminate = stop(EXIT.terminated);
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  const io: Io = {
    emit: (event) => {
      json(event);
      console.show(event);
    },
    signal: controller.signal,
    json: output.json,
    given,
  };
  try {
    const handler = handlers[key] as (values: object, io: Io) => Promise<Result>;
    const result = await handler(values, io);
    console.clear();
    if (output.json) json({ event: 'result', ...result.data });
    else around.stdout.write(result.text);
    return EXIT.done;
  } catch (error) {
    console.clear();
    if (controller.signal.aborted && isAbort(error)) {
      const resume = 'out' in spec.options ? resumeCommand(argv) : null;
      json({ event: 'cancelled', resume });
      around.stderr.write(
        resume
          ? `cca ${spec.name}: cancelled; finished work is kept. Resume with: ${resume}\n`
          : `cca ${spec.name}: cancelled.\n`,
      );
      return exitCode;
    }
    return report(error, `cca ${spec.name}`, around, output.debug, json);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}

/** The command that the words name, as far as they do: `cca runs show`. */
function commandName(argv: string[]): string {
  const names = Object.keys(COMMANDS);
  const found = names.find((name) => name === argv.slice(0, name.split(' ').length).join(' '));
  return found ? `cca ${found}` : 'cca';
}

function isAbort(error: unknown): boolean {
  return error instanceof Cancelled || (error instanceof Error && error.name === 'AbortError');
}

/** Says what went wrong: one line. A defect's stack goes to a log file, and to the terminal with --debug. */
function report(
  error: unknown,
  name: string,
  { stderr }: Surroundings,
  debug: boolean,
  json: (event: object) => void,
): number {
  if (error instanceof InputError) {
    json({ event: 'error', kind: 'input', where: error.where, message: error.message });
    stderr.write(`${error.message.startsWith('cca') ? '' : `${name}: `}${error.message}\n`);
    return EXIT.badInput;
  }
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
  const stack = error instanceof Error ? describeStack(error) : String(error);
  const log = writeLog(stack);
  json({ event: 'error', kind: 'failure', message, log });
  stderr.write(`${name}: failed: ${message}${log ? ` (details: ${log})` : ''}\n`);
  if (debug) stderr.write(`${stack}\n`);
  return EXIT.failed;
}

function describeStack(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by: ${describeStack(error.cause)}` : '';
  return (error.stack ?? error.message) + cause;
}

/** The log's path, or null where even the system's folder for temporary files cannot be written. */
function writeLog(stack: string): string | null {
  const time = new Date().toISOString();
  const file = path.join(os.tmpdir(), `cca-${time.replace(/[:.]/g, '-')}-${process.pid}.log`);
  const command = process.argv.slice(2).map(quote).join(' ');
  try {
    fs.writeFileSync(
      file,
      `${time}\ncca ${command}\nnode ${process.version}, ${os.platform()} ${os.arch()}\n${stack}\n`,
    );
    return file;
  } catch {
    return null;
  }
}

/** The same command without --fresh, which would throw the finished work away. */
function resumeCommand(argv: string[]): string {
  return ['cca', ...argv.filter((word) => word !== '--fresh')].map(quote).join(' ');
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
