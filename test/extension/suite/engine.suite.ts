import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, workspace } from 'vscode';
import { devices } from '../../../server/protocol/engine.ts';
import { list } from '../../../server/protocol/traces.ts';
import { engineProcesses, killEngine } from './kill.ts';
import { api, inRoot, openTrace, scored, smallRun, until, wrongWithPivot } from './session.ts';

const set = (name: string, value: unknown) =>
  workspace.getConfiguration('circuitAmplifier').update(name, value, true);

describe('the engine', () => {
  it('says where models can run', async () => {
    const { engine } = await api();
    const found = await engine.request(devices, null);
    assert.ok(found.some(({ name, available }) => name === 'cpu' && available));
  });

  it('is started again when it is killed; the open trace gets its overlay anew', async () => {
    const { engine, traces } = await api();
    const editor = await openTrace(wrongWithPivot);
    const before = engineProcesses();
    await killEngine();
    const after = engineProcesses();
    assert.equal(after.length, 1);
    assert.notDeepEqual(after, before);
    await scored(editor);
    assert.equal(traces.state()?.problem, null);
    assert.ok((await engine.request(list, { folder: smallRun() })).rows.length > 0);
  });

  it('is run by the Node of the setting', async () => {
    const { engine } = await api();
    const wrapper = inRoot('own-node');
    fs.writeFileSync(
      wrapper,
      `#!/bin/sh\ntouch "${inRoot('own-node-ran')}"\nexec "${process.execPath}" "$@"\n`,
    );
    fs.chmodSync(wrapper, 0o755);
    await set('engine.node', wrapper);
    await until('the other Node', () => fs.existsSync(inRoot('own-node-ran')));
    await engine.ready;
    assert.ok((await engine.request(list, { folder: smallRun() })).rows.length > 0);
  });

  it('that cannot be started says so, and comes back with the setting', async () => {
    const { engine } = await api();
    await set('engine.node', inRoot('absent-node'));
    await until('failure', () => engine.state === 'failed');
    await assert.rejects(
      engine.request(list, { folder: smallRun() }),
      /absent-node: there is no such program/,
    );
    await set('engine.node', undefined);
    await until('the engine', () => engine.state === 'running');
    await commands.executeCommand('workbench.action.closeAllEditors');
  });
});
