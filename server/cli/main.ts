#!/usr/bin/env node
import manifest from '../../package.json' with { type: 'json' };
import { runCli } from './cli.ts';
import { handlers } from './handlers/index.ts';

// `cca ... | head` closes the pipe early; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const surroundings = { version: manifest.version, stdout: process.stdout, stderr: process.stderr };
const code = await runCli(process.argv.slice(2), handlers, surroundings);
// Idle worker threads or open sessions must not keep the process; what is printed must get out first.
process.stdout.write('', () => process.exit(code));
