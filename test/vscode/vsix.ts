import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { OUT, ROOT } from './folders.ts';

/** The packaged extension: CCA_VSIX, or one made now for this platform. */
export function packagedExtension(): string {
  if (process.env.CCA_VSIX) return process.env.CCA_VSIX;
  const folder = path.join(OUT, 'vsix');
  const newest = () =>
    (fs.existsSync(folder) ? fs.readdirSync(folder) : [])
      .filter((name) => name.endsWith('.vsix'))
      .map((name) => path.join(folder, name))
      .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs)[0];
  execFileSync('npm', ['run', 'package', '--', '--out', folder], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
  const made = newest();
  if (!made) throw new Error(`npm run package left no .vsix in ${folder}`);
  return made;
}
