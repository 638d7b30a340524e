import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  colors,
  contextKeys,
  hostCommands,
  panelCommands,
  restrictedSettings,
  settings,
  traceCommands,
  views,
} from '../../src/contributions.ts';

interface Rule {
  command: string;
  when?: string;
}

const root = path.resolve(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const { contributes } = manifest;
const declared: { command: string; title: string; category: string; enablement?: string }[] =
  contributes.commands;
const needs: Record<string, string> = { ...hostCommands, ...traceCommands, ...panelCommands };
const menus = Object.values<Rule[]>(contributes.menus).flat();
const keys: Rule[] = contributes.keybindings;
const sources = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => readFileSync(path.join(root, 'src', file), 'utf8'))
  .join('\n');

/** Every string of a JSON value. */
function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [];
}

test('every command is executed in a real VS Code', () => {
  const read = (folder: string) =>
    readdirSync(path.join(root, folder))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(path.join(root, folder, file), 'utf8'))
      .join('\n');
  const suites = read('test/extension/suite');
  const sessions = read('test/e2e');
  const executed = ({ command, title }: { command: string; title: string }) => {
    const name = command.replace('circuitAmplifier.', '');
    const literal = new RegExp(`['.]${name}'`);
    return literal.test(suites) || sessions.includes(`command('${title}')`);
  };
  expect(declared.filter((one) => !executed(one)).map(({ command }) => command)).toEqual([]);
});

describe('package.json and src/contributions.ts', () => {
  test('name the same commands', () => {
    expect(declared.map(({ command }) => command).sort()).toEqual(Object.keys(needs).sort());
    expect(declared.filter(({ category, title }) => category !== 'Circuit Amplifier' || !title)).toEqual([]);
  });

  test('agree on which commands need a trusted workspace', () => {
    const trusted = declared.filter(({ enablement }) => /\bisWorkspaceTrusted\b/.test(enablement ?? ''));
    const expected = Object.keys(needs).filter((id) => needs[id] === 'trust');
    expect(trusted.map(({ command }) => command).sort()).toEqual(expected.sort());
  });

  test('name the same settings with the same defaults', () => {
    const properties: Record<string, { default: unknown }> = contributes.configuration.properties;
    const defaults = Object.entries(properties).map(([name, { default: value }]) => [
      name.replace(/^circuitAmplifier\./, ''),
      value,
    ]);
    expect(Object.fromEntries(defaults)).toEqual(settings);
  });

  test('restrict the same settings', () => {
    const { supported, restrictedConfigurations } = manifest.capabilities.untrustedWorkspaces;
    expect(supported).toBe('limited');
    expect(restrictedConfigurations.sort()).toEqual(
      restrictedSettings.map((name) => `circuitAmplifier.${name}`).sort(),
    );
  });

  test('name the same colours, each for every kind of theme', () => {
    const ids = contributes.colors.map(({ id }: { id: string }) => id);
    expect(ids.sort()).toEqual(Object.values(colors).flat().sort());
    const kinds = ['dark', 'light', 'highContrast', 'highContrastLight'];
    for (const { defaults } of contributes.colors) expect(Object.keys(defaults).sort()).toEqual(kinds.sort());
  });

  test('name the same views', () => {
    expect(contributes.viewsContainers.activitybar.map(({ id }: { id: string }) => id)).toEqual([
      views.container,
    ]);
    const ids = contributes.views[views.container].map(({ id }: { id: string }) => id);
    expect(ids).toEqual([views.runs, views.traces, views.patches]);
  });
});

describe('package.json', () => {
  test('refers only to commands, views and context keys that there are', () => {
    const known = new Set<string>([
      ...Object.keys(needs),
      ...contextKeys,
      ...Object.values(views),
      ...Object.values(colors).flat(),
      ...Object.keys(settings).map((name) => `circuitAmplifier.${name}`),
    ]);
    const named = strings(contributes).flatMap((text) => text.match(/\bcircuitAmplifier\.[\w.]*\w/g) ?? []);
    expect(named.length).toBeGreaterThan(200);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
    const unknown = [...menus, ...keys].filter(({ command }) => !(command in needs));
    expect(unknown).toEqual([]);
  });

  test('names only files that there are', () => {
    const files = strings(manifest).filter((text) => /^(\.\/)?media\//.test(text));
    expect(files.length).toBeGreaterThan(8);
    expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });

  test('leaves no command out of the palette', () => {
    const hidden = contributes.menus.commandPalette.filter(({ when }: Rule) => when === 'false');
    expect(hidden).toEqual([]);
  });

  test('binds no key twice under one condition', () => {
    const bound = keys.map((binding) => JSON.stringify({ ...binding, command: '' }));
    expect(new Set(bound).size).toBe(bound.length);
  });

  test('every context key is set by the code', () => {
    expect(contextKeys.filter((key) => !new RegExp(`\\w\\(\\s*'${key}'`).test(sources))).toEqual([]);
  });

  test('menus of items ask for words that items have', () => {
    const asked = menus.flatMap(({ when }) =>
      [...(when ?? '').matchAll(/\\b([\w-]+)\\b/g)].map(([, word]) => word),
    );
    expect(asked.length).toBeGreaterThan(20);
    expect(
      [...new Set(asked)].filter((word) => !sources.includes(`'${word}`) && !sources.includes(`${word}: '`)),
    ).toEqual([]);
  });
});
