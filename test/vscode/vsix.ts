import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { OUT, ROOT } from './folders.ts';
import { alone } from './lock.ts';

/** What the package is made of. */
const INPUTS = [
  'server',
  'src',
  'webview',
  'media',
  'build.mjs',
  'package.mjs',
  'package.json',
  '.vscodeignore',
];

/** The packaged extension: CCA_VSIX, or this platform's, built and packaged anew where a source is newer. */
export function packagedExtension(): Promise<string> {
  const given = process.env.CCA_VSIX;
  if (given) return Promise.resolve(given);
  return alone('package', () => {
    const folder = path.join(OUT, 'vsix');
    const made = newest(folder);
    if (made && fs.statSync(made).mtimeMs > changed()) return made;
    execFileSync('npm', ['run', 'package', '--', '--out', folder], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    });
    const anew = newest(folder);
    if (!anew) throw new Error(`npm run package left no .vsix in ${folder}`);
    return anew;
  });
}

function newest(folder: string): string | undefined {
  const files = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  return files
    .filter((name) => name.endsWith('.vsix'))
    .map((name) => path.join(folder, name))
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs)[0];
}

/** When the latest input was changed, milliseconds. */
function changed(): number {
  const files = INPUTS.flatMap((name) => {
    const input = path.join(ROOT, name);
    if (fs.statSync(input).isFile()) return [input];
    const entries = fs.readdirSync(input, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  });
  return Math.max(...files.map((file) => fs.statSync(file).mtimeMs));
}
