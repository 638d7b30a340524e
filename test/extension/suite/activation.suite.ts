import assert from 'node:assert/strict';
import { commands } from 'vscode';
import { hostCommands, panelCommands, settings, traceCommands } from '../../../src/contributions.ts';
import { api, extension } from './session.ts';

const contributes = () => extension().packageJSON.contributes;

describe('activation', () => {
  it('happens by itself, without starting the engine', async () => {
    const { engine } = await api();
    assert.equal(engine.state, 'stopped');
  });

  it('registers every command that package.json contributes, and the ids that lenses use', async () => {
    await api();
    const registered = new Set(await commands.getCommands(true));
    const contributed = contributes().commands.map(({ command }: { command: string }) => command);
    const typed = Object.keys({ ...hostCommands, ...traceCommands, ...panelCommands });
    assert.deepEqual([...contributed].sort(), typed.sort());
    assert.deepEqual(
      typed.filter((id) => !registered.has(id)),
      [],
    );
    const lenses = ['accept', 'reject', 'remove', 'swap', 'move', 'desired', 'branches', 'mark'];
    for (const name of lenses) assert.ok(registered.has(`circuitAmplifier.pivot.${name}`), name);
  });

  it('contributes the settings that the code reads, with their defaults', () => {
    const properties: Record<string, { default: unknown }> = Object.assign(
      {},
      ...[contributes().configuration].flat().map((part: { properties: object }) => part.properties),
    );
    const contributed = Object.entries(properties).map(([name, { default: value }]) => [name, value]);
    const typed = Object.entries(settings).map(([name, value]) => [`circuitAmplifier.${name}`, value]);
    assert.deepEqual(Object.fromEntries(contributed), Object.fromEntries(typed));
  });
});
