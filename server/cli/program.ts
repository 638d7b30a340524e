import { Argument, Command, type CommanderError, Option as CommanderOption } from 'commander';
import { InputError } from '../errors.ts';
import type { CommandSpec } from './command.ts';
import { COMMANDS, type Handlers } from './commands/index.ts';
import { flagOf, type Option } from './options.ts';

/** How a command shows its work; every command has these. */
interface OutputOptions {
  json: boolean;
  quiet: boolean;
  debug: boolean;
}

/** A command line that was understood. */
export interface Invocation {
  key: keyof Handlers;
  spec: CommandSpec;
  values: Record<string, unknown>;
  given: Set<string>;
  output: OutputOptions;
}

const GROUPS: Record<string, string> = { runs: 'list, show, compare and delete runs' };

const ABOUT =
  "Finds the tokens where a model's reasoning goes wrong, the attention heads and MLP neurons that push the right way there, " +
  'and fine-tunes only those.';

const EXIT_CODES = `Work is kept in the run folder (--out) as it is done: the same command goes on
after Ctrl-C, a crash or a power cut. With --json every event is one JSON object
per line on stdout, the last one {"event":"result",...}.

Exit codes:
    0  done
    1  failed: a defect of this program
    2  bad usage or input; one line on stderr says what to do
  130  cancelled with Ctrl-C`;

/**
 * The command-line parser for the commands that have a handler. Parsing calls `take` with what was understood.
 * Bad usage throws InputError; --help and --version print and throw CommanderError with exit code 0.
 */
export function buildProgram(
  handlers: Handlers,
  version: string,
  write: (text: string) => void,
  take: (invocation: Invocation) => void,
): Command {
  const program = settle(new Command('cca'), 'cca', write);
  program.description(ABOUT).version(version).addHelpText('after', `\n${EXIT_CODES}`);
  program.helpCommand('help [command]', 'the options of a command');
  const groups = new Map<string, Command>();
  for (const key of Object.keys(COMMANDS) as (keyof Handlers)[]) {
    if (!handlers[key]) continue;
    const spec = COMMANDS[key] as unknown as CommandSpec;
    const [first, second] = spec.name.split(' ') as [string, string | undefined];
    let parent = program;
    if (second !== undefined) {
      parent =
        groups.get(first) ??
        settle(program.command(first), `cca ${first}`, write).description(GROUPS[first]!);
      groups.set(first, parent);
    }
    addCommand(settle(parent.command(second ?? first), `cca ${spec.name}`, write), key, spec, take);
  }
  return program;
}

function addCommand(
  command: Command,
  key: keyof Handlers,
  spec: CommandSpec,
  take: (invocation: Invocation) => void,
): void {
  command.description(`${spec.summary[0]!.toUpperCase()}${spec.summary.slice(1)}.`).summary(spec.summary);
  for (const [name, option] of Object.entries(spec.arguments)) {
    const many = option.repeatable ? `${name}...` : name;
    const argument = new Argument(option.required ? `<${many}>` : `[${many}]`, describe(option));
    command.addArgument(
      argument.argParser((text: string, before: unknown) => {
        const value = option.parse(text, name);
        return option.repeatable ? [...((before as unknown[]) ?? []), value] : value;
      }),
    );
  }
  for (const [name, option] of Object.entries(spec.options)) command.addOption(toCommander(name, option));
  command.option('--json', 'print events and the result as JSON, one object per line');
  command.option('--quiet', 'print no progress');
  command.option('--debug', 'print the stack trace of a failure');
  if (spec.details) command.addHelpText('after', `\n${spec.details}`);
  command.action((...parts: unknown[]) => {
    const typed = command.opts<Record<string, unknown>>();
    const values: Record<string, unknown> = {};
    const given = new Set<string>();
    for (const [i, [name, option]] of Object.entries(spec.arguments).entries()) {
      values[name] = parts[i] ?? option.fallback;
    }
    for (const [name, option] of Object.entries(spec.options)) {
      if (name in typed) given.add(name);
      values[name] = name in typed ? typed[name] : option.fallback;
      const empty =
        values[name] === undefined || (option.repeatable && (values[name] as unknown[]).length === 0);
      if (option.required && empty) {
        const flag = `${flagOf(name)} ${option.placeholder}`;
        throw new InputError(`cca ${spec.name}`, `needs ${flag}`, `See cca ${spec.name} --help.`);
      }
    }
    spec.validate?.(values, given);
    const output = { json: typed.json === true, quiet: typed.quiet === true, debug: typed.debug === true };
    take({ key, spec, values, given, output });
  });
}

function toCommander(name: string, option: Option<unknown>): CommanderOption {
  const flag = flagOf(name);
  if (option.placeholder === null) return new CommanderOption(flag, describe(option));
  return new CommanderOption(`${flag} <${option.placeholder}>`, describe(option)).argParser(
    (text: string, before: unknown) => {
      const value = option.parse(text, flag);
      return option.repeatable ? [...((before as unknown[]) ?? []), value] : value;
    },
  );
}

/** Summary, range and default, as the help shows them. */
function describe(option: Option<unknown>): string {
  const notes = [
    option.required ? 'required' : '',
    option.range,
    option.fallbackText ? `default: ${option.fallbackText}` : '',
  ].filter(Boolean);
  return notes.length > 0 ? `${option.summary} (${notes.join('; ')})` : option.summary;
}

/** Makes a command throw instead of print and exit: one place decides what the user sees. */
function settle(command: Command, name: string, write: (text: string) => void): Command {
  command.configureOutput({ writeOut: write, writeErr: () => undefined });
  command.exitOverride((error: CommanderError) => {
    if (error.exitCode === 0) throw error;
    if (error.code === 'commander.help') {
      throw new InputError(name, 'a command is missing', `See ${name} --help.`);
    }
    const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    throw new InputError(name, message.replace(/\.$/, ''), `See ${name} --help.`);
  });
  return command;
}
