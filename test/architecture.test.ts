import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { REFUSED_NODE, specifiers, tableRows } from './imports.ts';

const root = path.resolve(import.meta.dirname, '..');

/** Entries under server/ that everyone may import. */
const COMMON = ['control.ts', 'errors.ts', 'random.ts', 'runs/atomic.ts'];
/** Outside server/: the product's name and version. */
const MANIFEST = '../package.json';

interface Rules {
  /** Folder under server/ -> folders and files under server/ that it may import. */
  folders: ReadonlyMap<string, readonly string[]>;
  /** Package or node: module -> the folders or files under server/ that may import it. */
  modules: ReadonlyMap<string, readonly string[]>;
}

function readRules(markdown: string): Rules {
  return {
    folders: new Map(tableRows(markdown, 'folder')),
    modules: new Map(tableRows(markdown, 'module')),
  };
}

/** The same without `import type`, which leaves nothing behind at run time. */
const loaded = (source: string) => specifiers(source.replace(/^\s*(?:import|export) type\b[^;]*;/gm, ''));

const join = (file: string, specifier: string) => path.posix.join(path.posix.dirname(file), specifier);

const within = (file: string, place: string) => file === place || file.startsWith(`${place}/`);

/** What is wrong with one import, or null. `file` is relative to server/. */
function fault(file: string, specifier: string, { folders, modules }: Rules): string | null {
  const refuse = (why: string) => `${file} imports ${specifier}: ${why}`;
  if (!specifier.startsWith('.')) {
    const name = specifier.match(/^(?:node:[^/]+|@[^/]+\/[^/]+|[^/]+)/)![0];
    const places = modules.get(name);
    if (places !== undefined) {
      return places.some((place) => within(file, place)) ? null : refuse(`only ${places.join(', ')} may`);
    }
    if (!name.startsWith('node:')) return refuse('a package that ARCHITECTURE.md does not list');
    return REFUSED_NODE.includes(name.slice(5)) ? refuse('nothing here may') : null;
  }
  const target = join(file, specifier);
  const folder = file.split('/')[0]!;
  if (target === MANIFEST || COMMON.includes(target)) return null;
  if (within(target, folder)) return null;
  const allowed = folders.get(folder) ?? [];
  return allowed.some((place) => within(target, place)) ? null : refuse(`${folder} may not`);
}

const rules = readRules(readFileSync(path.join(root, 'ARCHITECTURE.md'), 'utf8'));
const server = path.join(root, 'server');
const files = readdirSync(server, { recursive: true, encoding: 'utf8' })
  .map((file) => file.split(path.sep).join('/'))
  .filter((file) => file.endsWith('.ts'));
const sources = new Map(files.map((file) => [file, readFileSync(path.join(server, file), 'utf8')]));

describe('imports of server/', () => {
  test('go only where the tables of ARCHITECTURE.md allow', () => {
    const imports = files.flatMap((file) => specifiers(sources.get(file)!).map((to) => [file, to] as const));
    // Fewer would mean that they are no longer recognised.
    expect(imports.length).toBeGreaterThan(4 * files.length);
    expect(imports.map(([file, to]) => fault(file, to, rules)).filter(Boolean)).toEqual([]);
  });

  test('the tables name every folder, and nothing that is not there', () => {
    const folders = files.map((file) => file.split('/')[0]!).filter((name) => !COMMON.includes(name));
    expect([...rules.folders.keys()].sort()).toEqual([...new Set(folders)].sort());
    const named = [...rules.folders.values(), ...rules.modules.values(), COMMON].flat();
    expect(named.filter((name) => !existsSync(path.join(server, name)))).toEqual([]);
  });

  test('no folder may import one that may import it', () => {
    const reach = (from: string, seen = new Set<string>()): Set<string> => {
      for (const place of rules.folders.get(from) ?? []) {
        const next = place.split('/')[0]!;
        if (!seen.has(next)) reach(next, seen.add(next));
      }
      return seen;
    };
    expect([...rules.folders.keys()].filter((folder) => reach(folder).has(folder))).toEqual([]);
  });

  test.each(['cli/main.ts', 'main.ts'])('%s loads no runtime: models run in the worker', (entry) => {
    const seen = new Set([entry]);
    for (const file of seen) {
      for (const to of loaded(sources.get(file) ?? '')) seen.add(to.startsWith('.') ? join(file, to) : to);
    }
    expect(seen).toContain('engine/client.ts');
    expect(seen).not.toContain('onnxruntime-node');
  });

  test('the network is not reached through globals, nor text run as code', () => {
    const reach = /(?<![.\w])(?:fetch|eval|XMLHttpRequest|WebSocket|EventSource|Function)\(/g;
    const uses = files.flatMap((file) =>
      [...sources.get(file)!.matchAll(reach)].map(([call]) => [file, call.slice(0, -1)] as const),
    );
    // A global that the table names is used in its place, and nowhere else.
    const places = uses.map(([file, name]) => [file, rules.modules.get(name)] as const);
    expect(places.filter(([file, allowed]) => !allowed?.some((place) => within(file, place)))).toEqual([]);
    expect(uses.map(([, name]) => name)).toContain('fetch');
  });
});

describe('the check itself', () => {
  test('recognises every form of import', () => {
    const source = [
      "import a from '1';",
      "import {\n  b,\n  type C,\n} from '2';",
      "import type { D } from '3';",
      "export { e } from '4';",
      "export * from '5';",
      "import '6';",
      "const f = await import('7');",
      "let g: import('8').G;",
      "const h = require('9');",
      "export const i = (from: string) => from + '10';",
    ].join('\n');
    expect(specifiers(source).sort()).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(loaded(source).sort()).toEqual(['1', '2', '4', '5', '6', '7', '8', '9']);
  });

  const small: Rules = {
    folders: new Map([
      ['low', []],
      ['high', ['low', 'mid/one.ts']],
    ]),
    modules: new Map([
      ['@scope/package', ['low']],
      ['node:worker_threads', ['high/a.ts']],
    ]),
  };

  test.each([
    ['high/a.ts', '../low/b.ts'],
    ['high/deep/a.ts', '../../low/deep/b.ts'],
    ['high/deep/a.ts', '../b.ts'],
    ['high/a.ts', '../mid/one.ts'],
    ['low/a.ts', '../errors.ts'],
    ['low/a.ts', '../runs/atomic.ts'],
    ['low/a.ts', '@scope/package/part'],
    ['low/a.ts', 'node:fs/promises'],
    ['high/a.ts', 'node:worker_threads'],
    ['high/a.ts', '../../package.json'],
  ])('%s may import %s', (file, to) => {
    expect(fault(file, to, small)).toBeNull();
  });

  test.each([
    ['low/a.ts', '../high/b.ts'],
    ['low/deep/a.ts', '../../high/b.ts'],
    ['high/a.ts', '../mid/two.ts'],
    ['high/a.ts', '../lower/b.ts'],
    ['low/a.ts', '../runs/run.ts'],
    ['unknown/a.ts', '../low/b.ts'],
    ['errors.ts', './low/b.ts'],
    ['high/a.ts', '@scope/package'],
    ['high/b.ts', 'node:worker_threads'],
    ['high/a.ts', 'vscode'],
    ['high/a.ts', 'node:https'],
    ['low/a.ts', '../../test/oracle.ts'],
  ])('%s may not import %s', (file, to) => {
    expect(fault(file, to, small)).toContain(`${file} imports ${to}`);
  });
});
