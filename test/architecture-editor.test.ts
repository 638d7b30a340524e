import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { REFUSED_NODE, specifiers, tableRows } from './imports.ts';

/** Files in src/ that everyone there may import. */
const COMMON = ['config.ts', 'context.ts', 'contributions.ts', 'format.ts', 'notify.ts'];
/** A type of `server` that a message knows how to say. */
const COMMON_MAY = ['server/server.ts', ...COMMON];

interface Rules {
  /** Folder or file of src/ -> what it may import of src/. */
  parts: ReadonlyMap<string, readonly string[]>;
  /** Package or node: module -> where it may be imported, relative to the repository. */
  modules: ReadonlyMap<string, readonly string[]>;
}

const root = path.resolve(import.meta.dirname, '..');
const markdown = readFileSync(path.join(root, 'ARCHITECTURE.md'), 'utf8');
const rules: Rules = {
  parts: new Map(tableRows(markdown, 'src')),
  modules: new Map(tableRows(markdown, 'editor module')),
};

const within = (file: string, place: string) => file === place || file.startsWith(`${place}/`);
const partOf = (inSrc: string) => inSrc.split('/')[0]!;

/** What is wrong with one import, or null. `file` is relative to the repository. */
function fault(file: string, specifier: string, { parts, modules }: Rules): string | null {
  const refuse = (why: string) => `${file} imports ${specifier}: ${why}`;
  if (!specifier.startsWith('.')) {
    const name = specifier.match(/^(?:node:[^/]+|@[^/]+\/[^/]+|[^/]+)/)![0];
    const places = modules.get(name);
    if (places) return places.some((place) => within(file, place)) ? null : refuse('not here');
    if (!name.startsWith('node:')) return refuse('a package that ARCHITECTURE.md does not list');
    if (within(file, 'webview')) return refuse('a page has no Node');
    return REFUSED_NODE.includes(name.slice(5)) ? refuse('nothing here may') : null;
  }
  const target = path.posix.join(path.posix.dirname(file), specifier);
  if (within(target, 'server/protocol')) return null;
  if (within(file, 'webview')) return within(target, 'webview') ? null : refuse('a page of its own');
  if (!within(target, 'src')) return refuse('of server/ only protocol');
  const from = file.slice('src/'.length);
  const to = target.slice('src/'.length);
  if (COMMON.includes(to) || partOf(from) === partOf(to)) return null;
  const allowed = COMMON.includes(from) ? COMMON_MAY : (parts.get(partOf(from)) ?? []);
  return allowed.some((place) => within(to, place)) ? null : refuse(`${partOf(from)} may not`);
}

const filesOf = (folder: string) =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => `${folder}/${file.split(path.sep).join('/')}`)
    .filter((file) => file.endsWith('.ts'));
const files = [...filesOf('src'), ...filesOf('webview')];
const sources = new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]));

describe('imports of src/ and webview/', () => {
  test('go only where the tables of ARCHITECTURE.md allow', () => {
    const imports = files.flatMap((file) => specifiers(sources.get(file)!).map((to) => [file, to] as const));
    // Fewer would mean that they are no longer recognised.
    expect(imports.length).toBeGreaterThan(2 * files.length);
    expect(imports.map(([file, to]) => fault(file, to, rules)).filter(Boolean)).toEqual([]);
  });

  test('the tables name every part, and nothing that is not there', () => {
    const there = filesOf('src').map((file) => partOf(file.slice('src/'.length)));
    const parts = [...new Set(there)].filter((part) => !COMMON.includes(part));
    expect([...rules.parts.keys()].sort()).toEqual(parts.sort());
    const named = [...rules.parts.values()]
      .flat()
      .concat(COMMON)
      .map((part) => `src/${part}`);
    const places = [...rules.modules.values()].flat();
    expect([...named, ...places].filter((name) => !existsSync(path.join(root, name)))).toEqual([]);
  });

  test('no part may import one that may import it', () => {
    const reach = (from: string, seen = new Set<string>()): Set<string> => {
      for (const to of rules.parts.get(from) ?? []) if (!seen.has(to)) reach(to, seen.add(to));
      return seen;
    };
    expect([...rules.parts.keys()].filter((part) => reach(part).has(part))).toEqual([]);
  });

  test('the language client is loaded when the engine starts, not at activation', () => {
    const eager = /^import (?!type\b)[^;]*'vscode-languageclient/m;
    expect(files.filter((file) => eager.test(sources.get(file)!))).toEqual([]);
  });

  test('the network is not reached through globals, nor text run as code', () => {
    const reach = /(?<![.\w])(?:fetch|eval|XMLHttpRequest|WebSocket|EventSource|Function)\(/;
    expect(files.filter((file) => reach.test(sources.get(file)!))).toEqual([]);
  });

  test('messages go through notify.ts', () => {
    // A modal question is no message: its answer decides.
    const shows = /\bwindow\.show(?:Information|Error|Warning)Message\b/;
    const allowed = ['src/notify.ts', 'src/commands/runs.ts'];
    expect(files.filter((file) => shows.test(sources.get(file)!) && !allowed.includes(file))).toEqual([]);
  });
});

describe('the check itself', () => {
  const small: Rules = {
    parts: new Map([
      ['low', []],
      ['high', ['low', 'one.ts']],
    ]),
    modules: new Map([
      ['vscode', ['src']],
      ['@vscode/toolkit', ['webview/toolkit.ts']],
      ['node:worker_threads', []],
    ]),
  };

  test.each([
    ['src/low/a.ts', 'vscode'],
    ['src/low/a.ts', '../notify.ts'],
    ['src/low/a.ts', 'node:fs/promises'],
    ['src/low/a.ts', '../../server/protocol/jobs.ts'],
    ['src/high/a.ts', '../low/b.ts'],
    ['src/high/a.ts', '../one.ts'],
    ['src/notify.ts', './server/server.ts'],
    ['webview/toolkit.ts', '@vscode/toolkit/dist'],
    ['webview/state/a.ts', '../../server/protocol/panel.ts'],
    ['webview/state/a.ts', '../dom.ts'],
  ])('%s may import %s', (file, to) => {
    expect(fault(file, to, small)).toBeNull();
  });

  test.each([
    ['src/low/a.ts', '../high/b.ts'],
    ['src/low/a.ts', '../../server/errors.ts'],
    ['src/low/a.ts', '../../webview/dom.ts'],
    ['src/low/a.ts', 'left-pad'],
    ['src/low/a.ts', 'node:https'],
    ['src/low/a.ts', 'node:worker_threads'],
    ['src/notify.ts', './low/a.ts'],
    ['src/unknown.ts', './low/a.ts'],
    ['webview/a.ts', 'vscode'],
    ['webview/a.ts', '@vscode/toolkit'],
    ['webview/a.ts', 'node:fs'],
    ['webview/a.ts', '../src/format.ts'],
    ['webview/a.ts', '../server/runs/run.ts'],
  ])('%s may not import %s', (file, to) => {
    expect(fault(file, to, small)).toContain(`${file} imports ${to}`);
  });
});
