import assert from 'node:assert/strict';
import fs from 'node:fs';
import { commands, workspace } from 'vscode';
import { engineProcesses } from './kill.ts';
import { accepting, api, inRoot, read, run, smallRun } from './session.ts';

const ofSmall = async () =>
  (await (await api()).patchesView.nodes()).find(({ row }) => row?.run === smallRun())!;

describe('exports, documents and settings', () => {
  after(() => commands.executeCommand('notifications.clearAll'));

  for (const [command, made] of [
    ['exportCheckpoint', 'small-checkpoint/model.safetensors'],
    ['exportPeft', 'small-peft/adapter_config.json'],
    ['exportPatch', 'small.safetensors'],
  ] as const) {
    it(`${command} writes where it is told`, async () => {
      const { messages } = await api();
      const told = messages.length;
      await accepting(run(command, await ofSmall()));
      assert.ok(fs.existsSync(inRoot(made)), made);
      assert.match(messages.slice(told).join(), /is written: \d+ changed rows/);
      fs.rmSync(inRoot(made.split('/')[0]!), { recursive: true });
    });
  }

  for (const command of ['exportPts', 'exportDpo'] as const) {
    it(`${command} writes a run’s pairs`, async () => {
      await accepting(run(command, { folder: smallRun() }));
      const file = `small-${command.replace('export', '').toLowerCase()}.jsonl`;
      assert.ok(read(file).startsWith('{'));
      fs.rmSync(inRoot(file));
    });
  }

  it('writeDocuments writes those with pivots; filterTraces keeps what it offers', async () => {
    const { messages, tracesView } = await api();
    await run('showTraces', { folder: smallRun() });
    assert.equal(tracesView.folder, smallRun());
    const told = messages.length;
    await accepting(run('writeDocuments', { folder: smallRun() }));
    assert.match(messages.slice(told).join(), /\d+ documents written to .*documents/);
    assert.ok(fs.readdirSync(inRoot('runs', 'small', 'documents')).length > 1);
    tracesView.setFilter('@pivots');
    await accepting(run('filterTraces'));
    assert.equal(tracesView.filter, '@pivots');
    await run('clearTraceFilter');
  });

  it('refreshing draws each view anew', async () => {
    const { catalogue, tracesView, patchesView } = await api();
    let drawn = 0;
    const events = [catalogue.onChange, tracesView.onDidChangeTreeData, patchesView.onDidChangeTreeData];
    const listening = events.map((event) => event(() => drawn++));
    for (const name of ['refreshRuns', 'refreshTraces', 'refreshPatches']) await run(name);
    for (const listener of listening) listener.dispose();
    assert.ok(drawn >= 3);
  });

  it('showDevices says where models run, and sets what is chosen', async () => {
    await accepting(run('showDevices'));
    const own = workspace.getConfiguration('circuitAmplifier');
    assert.equal(own.inspect('device')?.globalValue, 'auto');
    await own.update('device', undefined, true);
  });

  it('restartEngine starts another process', async () => {
    const { engine } = await api();
    await engine.ready;
    const before = engineProcesses();
    await run('restartEngine');
    assert.equal(engine.state, 'running');
    assert.notDeepEqual(engineProcesses(), before);
  });
});
