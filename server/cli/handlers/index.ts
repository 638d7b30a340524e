import type { Handlers } from '../commands/index.ts';
import { runsHandlers } from './runs.ts';

/** Every command that can be carried out. */
export const handlers: Handlers = { ...runsHandlers };
