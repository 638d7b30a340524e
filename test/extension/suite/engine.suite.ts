import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { commands, workspace } from 'vscode';
import { devices } from '../../../server/protocol/engine.ts';
import { start } from '../../../server/protocol/jobs.ts';
import { list } from '../../../server/protocol/traces.ts';
import { jobSpec } from '../../../src/commands/start-job.ts';
import { engineProcesses, killEngine } from './kill.ts';
import {
  api,
  extension,
  inRoot,
  next,
  openTrace,
  scored,
  smallRun,
  until,
  wrongWithPivot,
} from './session.ts';

const set = (name: string, value: unknown) =>
  workspace.getConfiguration('circuitAmplifier').update(name, value, true);

describe('the engine', () => {
  it('says where models can run', async () => {
    const { engine } = await api();
    const found = await engine.request(devices, null);
    assert.ok(found.some(({ name, available }) => name === 'cpu' && available));
  });

  it('is started again when it is killed; the open trace gets its overlay anew', async () => {
    const { engine, traces, catalogue, patchesView, tracesView, messages } = await api();
    const editor = await openTrace(wrongWithPivot);
    tracesView.show(smallRun());
    assert.ok((await tracesView.getChildren()).length > 0);
    const patches = (await patchesView.getChildren()).length;
    assert.ok(patches > 0);
    const before = engineProcesses();
    const told = messages.length;
    // What is asked for meanwhile fails with it.
    catalogue.refresh();
    patchesView.refresh();
    tracesView.refresh();
    const asked = [patchesView.getChildren(), tracesView.getChildren()];
    void commands.executeCommand('circuitAmplifier.showReport', { folder: smallRun() });
    const redrawn = Promise.all([
      next(patchesView.onDidChangeTreeData),
      next(tracesView.onDidChangeTreeData),
    ]);
    await killEngine();
    const after = engineProcesses();
    assert.equal(after.length, 1);
    assert.notDeepEqual(after, before);
    await scored(editor);
    assert.equal(traces.state()?.problem, null);
    assert.ok((await engine.request(list, { folder: smallRun() })).rows.length > 0);
    await Promise.all(asked);
    // One message, whatever else had been asked; and the views have what they had.
    assert.deepEqual(
      messages.slice(told).map((message) => message.replace(/\(.*\)/, '(why)')),
      ['The engine ended unexpectedly (why) and is started again.'],
    );
    await redrawn;
    assert.ok((await tracesView.getChildren()).length > 0);
    assert.equal((await patchesView.getChildren()).length, patches);
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

  it('is run by a command, as on another machine: it depends on no process and no folder of this one', async () => {
    const { engine, jobs } = await api();
    const [relay, heard, home] = [inRoot('relay.cjs'), inRoot('heard.txt'), inRoot('its-home')];
    // A process between: what the editor starts is not what answers, as with ssh.
    fs.writeFileSync(
      relay,
      `const { spawn } = require('node:child_process');
const fs = require('node:fs');
const env = { ...process.env, HOME: ${JSON.stringify(home)}, USERPROFILE: ${JSON.stringify(home)} };
const server = ${JSON.stringify(path.join(extension().extensionPath, 'dist', 'server.mjs'))};
const child = spawn(process.execPath, [server, '--stdio'], { stdio: ['pipe', 'inherit', 'inherit'], env });
process.stdin.on('data', (chunk) => {
  fs.appendFileSync(${JSON.stringify(heard)}, chunk);
  child.stdin.write(chunk);
});
process.stdin.on('end', () => child.stdin.end());
child.on('exit', (code) => process.exit(code ?? 1));
`,
    );
    await set('engine.command', [process.execPath, relay]);
    await until('the relay', () => fs.existsSync(heard));
    await engine.ready;
    assert.match(fs.readFileSync(heard, 'utf8'), /"method":"initialize","params":\{"processId":null/);
    const spec = jobSpec(inRoot('small.experiment.json'), {
      out: inRoot('runs', 'far'),
      from: smallRun(),
      until: 'localize',
    });
    const { id } = await engine.request(start, spec);
    await until('the end of the job', () =>
      jobs.all.some((job) => job.id === id && job.state === 'finished'),
    );
    const [storage] = fs.readdirSync(path.join(home, '.circuit-amplifier'));
    assert.ok(fs.existsSync(path.join(home, '.circuit-amplifier', storage!, 'jobs', id, 'job.json')));
    await set('engine.command', undefined);
    await until('the engine without it', async () => {
      await engine.ready;
      return engineProcesses().length === 1;
    });
    fs.rmSync(inRoot('runs', 'far'), { recursive: true });
  });

  it('that cannot be started says so, and comes back with the setting', async () => {
    const { engine, tracesView, patchesView } = await api();
    tracesView.show(smallRun());
    const patches = (await patchesView.getChildren()).length;
    assert.ok(patches > 0 && (await tracesView.getChildren()).length > 0);
    await set('engine.node', inRoot('absent-node'));
    await until('failure', () => engine.state === 'failed');
    patchesView.refresh();
    tracesView.refresh();
    assert.deepEqual([await patchesView.getChildren(), await tracesView.getChildren()], [[], []]);
    const redrawn = Promise.all([
      next(patchesView.onDidChangeTreeData),
      next(tracesView.onDidChangeTreeData),
    ]);
    await assert.rejects(
      engine.request(list, { folder: smallRun() }),
      /absent-node: there is no such program/,
    );
    await set('engine.node', undefined);
    await until('the engine', () => engine.state === 'running');
    // The views have what they had, by themselves.
    await redrawn;
    assert.equal((await patchesView.getChildren()).length, patches);
    assert.ok((await tracesView.getChildren()).length > 0);
    await commands.executeCommand('workbench.action.closeAllEditors');
  });
});
