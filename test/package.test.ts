import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';

interface LockEntry {
  version?: string;
  integrity?: string;
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

// npm keeps entries without a hash as they are, and installs such a package unchecked.
test('the lock file has the hash of every package', () => {
  expect([...packages].flatMap(([key, { integrity }]) => (key === '' || integrity ? [] : [key]))).toEqual([]);
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

const binaries = path.join(root, 'node_modules/onnxruntime-node/bin/napi-v6');
const platforms = readdirSync(binaries).flatMap((system) =>
  readdirSync(path.join(binaries, system)).map((cpu) => `${system}-${cpu}`),
);

test('a package can be made for every platform that the runtime has', () => {
  const script = readFileSync(path.join(root, 'package.mjs'), 'utf8');
  const targets = script.match(/const targets = \[([^\]]*)\]/)![1]!.match(/[\w-]+/g);
  expect([...targets!].sort()).toEqual(platforms.sort());
});

// Another platform than this one: what is right there is not right by chance.
test('a package has one platform’s runtime, what it loads, and nothing of development', () => {
  const target = process.platform === 'win32' ? 'linux-x64' : 'win32-x64';
  const out = mkdtempSync(path.join(os.tmpdir(), 'package-'));
  const listed = execFileSync(process.execPath, ['package.mjs', '--list', '--target', target, '--out', out], {
    cwd: root,
    encoding: 'utf8',
  });
  rmSync(out, { recursive: true });
  const files = listed.trim().split(/\r?\n/);
  const native = files.filter((file) => /\.(node|dll|dylib)$|\.so(\.|$)/.test(file));
  expect(native.length).toBeGreaterThan(0);
  const folder = `node_modules/onnxruntime-node/bin/napi-v6/${target.replace('-', '/')}/`;
  expect(native.filter((file) => !file.startsWith(folder))).toEqual([]);
  // All that the two packages of the runtime load from each other and from themselves.
  for (const name of ['onnxruntime-node/dist', 'onnxruntime-common/dist/cjs']) {
    const scripts = readdirSync(path.join(root, 'node_modules', name)).filter((file) => file.endsWith('.js'));
    expect(files).toEqual(expect.arrayContaining(scripts.map((file) => `node_modules/${name}/${file}`)));
  }
  const tops = new Set(files.map((file) => file.split('/')[0]!));
  expect([...tops].sort()).toEqual(
    ['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'media', 'node_modules', 'package.json'].sort(),
  );
  expect(files.filter((file) => /\.(map|ts|tsx|vsix)$/.test(file))).toEqual([]);
});
