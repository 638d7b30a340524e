import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { noticesOf } from '../notices.ts';
import { build } from './cli/built.ts';

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

describe('a package', () => {
  // Another platform than this one: what is right there is not right by chance.
  const target = process.platform === 'win32' ? 'linux-x64' : 'win32-x64';
  let files: string[] = [];
  beforeAll(async () => {
    await build();
    const out = mkdtempSync(path.join(os.tmpdir(), 'package-'));
    const words = ['package.mjs', '--list', '--target', target, '--out', out];
    const listed = execFileSync(process.execPath, words, { cwd: root, encoding: 'utf8' });
    rmSync(out, { recursive: true });
    files = listed.trim().split(/\r?\n/);
  });

  test('has one platform’s runtime, what it loads, and nothing of development', () => {
    const native = files.filter((file) => /\.(node|dll|dylib)$|\.so(\.|$)/.test(file));
    expect(native.length).toBeGreaterThan(0);
    const folder = `node_modules/onnxruntime-node/bin/napi-v6/${target.replace('-', '/')}/`;
    expect(native.filter((file) => !file.startsWith(folder))).toEqual([]);
    // All that the two packages of the runtime load from each other and from themselves.
    for (const name of ['onnxruntime-node/dist', 'onnxruntime-common/dist/cjs']) {
      const scripts = readdirSync(path.join(root, 'node_modules', name)).filter((file) =>
        file.endsWith('.js'),
      );
      expect(files).toEqual(expect.arrayContaining(scripts.map((file) => `node_modules/${name}/${file}`)));
    }
    const texts = ['ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'docs'];
    const tops = new Set(files.map((file) => file.split('/')[0]!));
    expect([...tops].sort()).toEqual([...texts, 'dist', 'media', 'node_modules', 'package.json'].sort());
    expect(files.filter((file) => /\.(map|ts|tsx|vsix)$/.test(file))).toEqual([]);
  });

  test('has the licence of every package inside, and what ONNX Runtime itself contains', () => {
    expect(files).toContain('dist/ThirdPartyNotices.txt');
    const [, list, ...parts] = readFileSync(path.join(root, 'dist/ThirdPartyNotices.txt'), 'utf8').split(
      `\n\n${'='.repeat(80)}\n\n`,
    );
    const names = list!.split('\n').map((line) => line.replace(/ \S+$/, ''));
    // What is imported is inside, and so is what that imports; the pages' toolkit is bundled too.
    const imported = Object.keys(readJson('package.json').dependencies);
    expect(names).toEqual(
      expect.arrayContaining([
        ...imported,
        'onnxruntime-common',
        'vscode-jsonrpc',
        '@microsoft/fast-element',
      ]),
    );
    expect(parts.map((part) => part.split(' (')[0])).toEqual(list!.split('\n'));
    for (const part of parts) expect(part.length, part.slice(0, 80)).toBeGreaterThan(500);
    const runtime = parts.find((part) => part.startsWith('onnxruntime-node '))!;
    expect(runtime).toMatch(/Copyright \(c\) Microsoft Corporation/);
    for (const name of ['protocolbuffers/protobuf', 'Eigen', 'google/flatbuffers', 'abseil'])
      expect(runtime).toContain(name);
  });

  test('is refused where a package has no licence text', () => {
    const folder = mkdtempSync(path.join(root, 'node_modules/.cache-'));
    writeFileSync(path.join(folder, 'package.json'), '{"name":"bare","version":"1.0.0","license":"MIT"}');
    try {
      expect(() => noticesOf([path.relative(root, folder)])).toThrow('bare has no licence text');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
