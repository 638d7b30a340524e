/** Where the tests keep what they install and make. */
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');
/** Downloads and installs that outlast a run; not in git. */
export const CACHE = path.join(ROOT, '.vscode-test');
/** Screenshots and logs; not in git. */
export const OUT = path.join(ROOT, 'out');
/** An extension of the tests' own, for the windows that they open. */
export const COMPANION = path.join(import.meta.dirname, 'companion');
