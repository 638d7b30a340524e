import type { Handler } from '../command.ts';
import { amplify } from './amplify.ts';
import { benchmark } from './benchmark.ts';
import { documents } from './documents.ts';
import { evaluate } from './evaluate.ts';
import { generate } from './generate.ts';
import { attribute, diff, score } from './inspect.ts';
import { instances } from './instances.ts';
import { localize } from './localize.ts';
import { mask } from './mask.ts';
import { apply, exportCommand, revert } from './patch.ts';
import { run } from './run.ts';
import { devices, merge, runsCompare, runsDelete, runsList, runsShow } from './runs.ts';

/** Every command, in the order of the help. */
export const COMMANDS = {
  run,
  generate,
  localize,
  mask,
  amplify,
  evaluate,
  benchmark,
  merge,
  instances,
  documents,
  score,
  attribute,
  diff,
  apply,
  revert,
  export: exportCommand,
  'runs list': runsList,
  'runs show': runsShow,
  'runs compare': runsCompare,
  'runs delete': runsDelete,
  devices,
};

/** What carries the commands out. A command without a handler is not offered. */
export type Handlers = { [K in keyof typeof COMMANDS]?: Handler<(typeof COMMANDS)[K]> };
