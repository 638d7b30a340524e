// A process that carries out one command line after another, told by its parent; a crash or a hang is its own.
import { runCli } from '../../server/cli/cli.ts';
import { handlers } from '../../server/cli/handlers/index.ts';

/** What a command line came to. */
export interface Ended {
  code: number;
  stderr: string;
  /** Milliseconds by the processor, and by the clock. */
  cpu: number;
  wall: number;
  /** The most memory that the process has had so far, in bytes. */
  peak: number;
}

const silent = { write: () => true };

process.on('message', async (argv: string[]) => {
  let stderr = '';
  const before = process.cpuUsage();
  const begun = performance.now();
  const code = await runCli([...argv, '--quiet'], handlers, {
    version: '0.0.0',
    stdout: silent,
    stderr: { write: (text) => (stderr += text) },
  });
  const { user, system } = process.cpuUsage(before);
  const ended: Ended = {
    code,
    stderr,
    cpu: (user + system) / 1000,
    wall: performance.now() - begun,
    peak: process.resourceUsage().maxRSS * 1024,
  };
  process.send!(ended);
});
process.send!('ready');
