/** Takes the README's pictures from those that the story of a first session has left. */
import fs from 'node:fs';
import path from 'node:path';
import { OUT, ROOT } from '../vscode/folders.ts';

const PICTURES = {
  finished: 'finished-dark',
  trace: 'trace-dark',
  diff: 'diff-light',
  circuit: 'circuit-dark',
};

for (const [name, shot] of Object.entries(PICTURES)) {
  const to = path.join(ROOT, 'media', 'screenshots', `${name}.png`);
  fs.copyFileSync(path.join(OUT, 'screenshots', `${shot}.png`), to);
  console.log(`${path.relative(ROOT, to)}: ${shot}`);
}
