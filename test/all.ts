/** `npm test`: a real VS Code is made ready while everything is built and checked; then all tests. */
import { spawn } from 'node:child_process';

function run(command: string): Promise<void> {
  return new Promise((resolve) => {
    spawn(command, { shell: true, stdio: 'inherit' }).on('exit', (code) => {
      if (code === 0) resolve();
      else process.exit(code ?? 1);
    });
  });
}

await Promise.all([run('npm run build && npm run check'), run('npm run test:setup')]);
await run('vitest run');
