import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

interface LockEntry {
  version?: string;
  resolved?: string;
  hasInstallScript?: boolean;
  optionalDependencies?: Record<string, string>;
}

const root = path.resolve(import.meta.dirname, '..');
const readJson = (name: string) => JSON.parse(readFileSync(path.join(root, name), 'utf8'));
const packages = new Map<string, LockEntry>(Object.entries(readJson('package-lock.json').packages));

// A registry mirror that lacks other platforms' binaries makes npm drop them from the lock file; `npm ci` then fails.
test('the lock file has the binaries of every platform', () => {
  const names = new Set([...packages.keys()].map((key) => key.split('node_modules/').at(-1)!));
  const optional = [...packages.values()].flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}));
  expect(optional.filter((name) => !names.has(name))).toEqual([]);
  expect([...packages].filter(([key, { version }]) => key !== '' && !version)).toEqual([]);
});

test('the lock file names no registry', () => {
  expect([...packages].filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
});

test('every install script is allowed or refused by name', () => {
  const scripts = [...packages].flatMap(([key, entry]) =>
    entry.hasInstallScript ? key.split('node_modules/').at(-1)! : [],
  );
  expect(Object.keys(readJson('package.json').allowScripts).sort()).toEqual(scripts.sort());
});
