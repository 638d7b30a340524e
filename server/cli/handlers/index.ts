import type { Handlers } from '../commands/index.ts';
import { attributeHandlers } from './attribute.ts';
import { benchmarkHandlers } from './benchmark.ts';
import { deviceHandlers } from './devices.ts';
import { diffHandlers } from './diff.ts';
import { documentHandlers } from './documents.ts';
import { instanceHandlers } from './instances.ts';
import { mergeHandlers } from './merge.ts';
import { patchHandlers } from './patch.ts';
import { runHandlers } from './run.ts';
import { runsHandlers } from './runs.ts';
import { scoreHandlers } from './score.ts';
import { stageHandlers } from './stages.ts';

/** Every command that can be carried out. */
export const handlers: Handlers = {
  ...runHandlers,
  ...stageHandlers,
  ...instanceHandlers,
  ...documentHandlers,
  ...benchmarkHandlers,
  ...scoreHandlers,
  ...attributeHandlers,
  ...diffHandlers,
  ...patchHandlers,
  ...runsHandlers,
  ...mergeHandlers,
  ...deviceHandlers,
};
