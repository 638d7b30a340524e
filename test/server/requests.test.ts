import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEngine } from '../../server/engine/client.ts';
import { studyReport } from '../../server/pipeline/seeds.ts';
import * as circuit from '../../server/protocol/circuit.ts';
import * as engineProtocol from '../../server/protocol/engine.ts';
import * as jobs from '../../server/protocol/jobs.ts';
import { errorCodes } from '../../server/protocol/message.ts';
import * as panel from '../../server/protocol/panel.ts';
import * as runs from '../../server/protocol/runs.ts';
import * as traces from '../../server/protocol/traces.ts';
import { build, scratch, WORKER } from '../cli/built.ts';
import { demo, Editor, failure, floats, model, uri } from './client.ts';
import { job, tinyExperiment } from './tiny.ts';

const folder = scratch();
const run = path.join(folder, 'runs', 'tiny');
const storage = path.join(folder, 'storage');
const ref = { folder: model, device: 'cpu', threads: 2 } as const;
const patch = path.join(run, 'patch.safetensors');
let editor: Editor;
let engine: ReturnType<typeof startEngine>;
let experiment: string;

beforeAll(async () => {
  await build();
  engine = startEngine({ worker: WORKER });
  experiment = tinyExperiment(folder);
  editor = await new Editor().start({ storage }, [folder]);
});
afterAll(async () => {
  await editor.stop();
  await engine.close();
});

test('a job runs an experiment, told as it goes', async () => {
  const cost = (measure: boolean) => editor.ask(jobs.estimate, { job: job(experiment), measure });
  const before = await cost(false);
  expect(before.stages.map(({ name, seconds, kept }) => [name, seconds, kept])).toEqual(
    ['generate', 'localize', 'mask', 'amplify', 'evaluate'].map((name) => [name, null, false]),
  );
  expect(before).toMatchObject({ seconds: null, disk: null, device: null, from: null });
  expect(before.free).toBeGreaterThan(0);
  const measured = await cost(true);
  expect(measured).toMatchObject({ from: 'measurement', device: 'cpu', memory: before.memory });
  expect(measured.threads).toBeGreaterThan(0);
  expect(measured.disk).toBeGreaterThan(0);
  for (const { name, seconds } of measured.stages) {
    expect(seconds!.low, name).toBeGreaterThan(0);
    expect(seconds!.high, name).toBeGreaterThan(seconds!.low);
  }
  const sum = (end: 'low' | 'high') =>
    measured.stages.reduce((total, { seconds }) => total + seconds![end], 0);
  expect(measured.seconds).toEqual({ low: sum('low'), high: sum('high') });
  // Measured once for a loaded model.
  expect((await cost(true)).stages).toEqual(measured.stages);
  const started = await editor.ask(jobs.start, job(experiment));
  expect(started).toMatchObject({ state: 'running', run, title: 'Amplify: tiny', restarts: 0 });
  const twice = await failure(editor.ask(jobs.start, job(experiment)));
  expect(twice.code).toBe(errorCodes.input);
  expect(twice.message).toContain('works on this run');
  const ended = await editor.when(jobs.changed, ({ id, state }) => id === started.id && state !== 'running');
  expect(ended).toMatchObject({ state: 'finished', error: null, device: 'cpu' });
  expect(ended.stages.map(({ status }) => status)).toEqual(Array(5).fill('finished'));
  expect(ended).toMatchObject({ tokensPerSecond: null, memory: null });
  const during = editor.all(jobs.changed).filter(({ id, memory }) => id === started.id && memory !== null);
  expect(during.some(({ tokensPerSecond }) => tokensPerSecond! > 0)).toBe(true);
  // No process of this engine fits into 20 MB.
  expect(Math.min(...during.map(({ memory }) => memory!))).toBeGreaterThan(20e6);
  const told = editor.all(jobs.steps).filter(({ id }) => id === started.id);
  const steps = told.reduce<jobs.StepPoint[]>(
    (all, { from, steps: more }) => [...all.slice(0, from), ...more],
    [],
  );
  expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await editor.ask(jobs.curve, { run })).toEqual(steps);
  expect(steps[1]!.validation).toBeGreaterThan(0);
  expect(steps[0]!.validation).toBeNull();
  expect(await editor.ask(jobs.list, null)).toEqual([ended]);
  const longer = job(experiment, { set: { 'amplify.steps': 12 }, redo: 'amplify' });
  const after = await editor.ask(jobs.estimate, { job: longer, measure: true });
  expect(after).toMatchObject({ from: 'runs', device: 'cpu' });
  expect(after.disk).toBeGreaterThan(fs.statSync(path.join(run, 'traces.jsonl')).size);
  expect(after.stages.map(({ kept }) => kept)).toEqual([true, true, true, false, false]);
  const seconds = JSON.parse(fs.readFileSync(path.join(run, 'report.json'), 'utf8')).stages.amplify.seconds;
  expect(after.stages[3]!.seconds!.low).toBeCloseTo(2 * seconds, 3);
});

interface Opened {
  document: string;
  file: string;
  text: string;
  view: traces.DocumentView;
  ids: number[];
}

/** The document of a trace with a pivot, as an editor has it open. */
async function openPivot(): Promise<Opened> {
  const { rows } = await editor.ask(traces.list, { folder: run });
  const row = rows.find(({ pivots, correct }) => pivots > 0 && correct === false)!;
  const { file } = await editor.ask(traces.open, { run, trace: row.id });
  const text = fs.readFileSync(file, 'utf8');
  const document = editor.open(file, text);
  const view = await editor.ask(traces.view, { uri: document, version: 1 });
  const ids = ['prompt_ids', 'completion_ids'].flatMap((key) =>
    new RegExp(`^${key}: (.*)$`, 'm').exec(text)![1]!.split(' ').map(Number),
  );
  return { document, file, text, view, ids };
}

describe('an open trace document', () => {
  let opened: Opened;
  const of = () => ({ uri: opened.document, version: 1 });
  beforeAll(async () => {
    opened = await openPivot();
  });

  test('view', () => {
    const { view, ids } = opened;
    expect(view).toMatchObject({ model, run, excluded: false, correct: false });
    expect(view.tokens).toBe(ids.length);
    expect(view.pivots.length).toBeGreaterThan(0);
    const [pivot] = view.pivots;
    expect([pivot!.desired.id, pivot!.undesired.id]).toContain(ids[pivot!.token]);
  });

  test('scores are those of the engine, at their places, viewport first', async () => {
    const visible = opened.view.completion;
    const parts: traces.Scores[] = [];
    const { total } = await editor.ask(
      traces.scores,
      { ...of(), patches: [], visible },
      { onPart: (part) => parts.push(part) },
    );
    const tokens = parts.flatMap((part) => part.tokens);
    expect(total).toBe(opened.ids.length);
    expect(tokens.map(({ index }) => index).sort((a, b) => a - b)).toEqual(opened.ids.map((_, i) => i));
    expect(parts.at(-1)!.done).toBe(total);
    // The first one that is seen comes first.
    expect(tokens[0]!.range.start).toEqual(visible.start);
    const { tokens: direct } = await engine.call('score', {
      model: ref,
      patch: null,
      text: opened.ids,
      context: [],
      topK: 4,
    });
    const lines = opened.text.split('\n');
    for (const token of tokens) {
      const expected = direct[token.index]!;
      expect(token.id).toBe(expected.id);
      expect(token.rank).toBe(expected.rank);
      if (expected.logprob === null) expect(token.logprob).toBeNull();
      else expect(token.logprob).toBeCloseTo(expected.logprob, 4);
      const alternatives = await editor.ask(traces.alternatives, { ...of(), token: token.index });
      expect(alternatives.map(({ id }) => id)).toEqual(expected.top.map(({ id }) => id));
      const { start, end } = token.range;
      if (start.line === end.line && token.text.trim() !== '') {
        expect(lines[start.line]!.slice(start.character, end.character)).toBe(token.text);
      }
    }
    expect(tokens.filter(({ generated }) => generated)[0]!.index).toBe(
      /^prompt_ids: (.*)$/m.exec(opened.text)![1]!.split(' ').length,
    );
  });

  test('scores under a patch, and again from what is known', async () => {
    const ask = async () => {
      const found: traces.ScoredToken[] = [];
      const patches = [{ file: patch, scale: 0.5 }];
      await editor.ask(
        traces.scores,
        { ...of(), patches, visible: null },
        { onPart: ({ tokens }) => found.push(...tokens) },
      );
      return found.sort((a, b) => a.index - b.index);
    };
    const first = await ask();
    expect(await ask()).toEqual(first);
    const direct = await engine.call('score', {
      model: ref,
      patch: { file: patch, scale: 0.5 },
      text: opened.ids,
      context: [],
      topK: 4,
    });
    first.slice(1).forEach((token, i) => {
      expect(token.logprob).toBeCloseTo(direct.tokens[i + 1]!.logprob!, 4);
    });
    const plain = await engine.call('score', {
      model: ref,
      patch: null,
      text: opened.ids,
      context: [],
      topK: 4,
    });
    expect(
      first.some(({ logprob }, i) => Math.abs((logprob ?? 0) - (plain.tokens[i]!.logprob ?? 0)) > 1e-3),
    ).toBe(true);
  });

  test('attribution of a pivot, and of a token against another', async () => {
    const pivot = opened.view.pivots[0]!;
    const found = await editor.ask(traces.attribution, {
      ...of(),
      token: pivot.token,
      patches: [],
      components: true,
    });
    const direct = await engine.call('attributePivot', {
      model: ref,
      patch: null,
      prefix: opened.ids.slice(0, pivot.token),
      desired: pivot.desired.id,
      undesired: pivot.undesired.id,
      components: true,
    });
    expect(found.margin).toBeCloseTo(direct.margin, 4);
    expect(found.tokens.map(({ index }) => index)).toEqual(Array.from({ length: pivot.token }, (_, i) => i));
    found.tokens.forEach(({ attribution }, i) => {
      expect(attribution).toBeCloseTo(direct.tokens[i]!, 4);
    });
    const best = direct.gates!.indexOf(Math.min(...direct.gates!));
    expect(found.components![0]).toMatchObject({ component: best });
    expect(found.components![0]!.gradient).toBeCloseTo(direct.gates![best]!, 4);
    expect(found.components![0]!.label).toMatch(/^layer \d+ (query head|key head|value head|neuron) \d+$/);
    const other = await editor.ask(traces.attribution, {
      ...of(),
      token: pivot.token,
      patches: [],
      components: false,
      desired: opened.ids[0]!,
    });
    expect(other.undesired.id).toBe(opened.ids[pivot.token]);
    expect(other.components).toBeNull();
  });

  test('the hover of a pivot has what follows from either token, and then its lens has the answers', async () => {
    const pivot = opened.view.pivots[0]!;
    const textDocument = { uri: opened.document };
    const shown = () =>
      editor.send<{ contents: { value: string } }>('textDocument/hover', {
        textDocument,
        position: pivot.range.start,
      });
    const titles = async () =>
      (await editor.send<{ command: { title: string } }[]>('textDocument/codeLens', { textDocument })).map(
        ({ command }) => command.title,
      );
    expect((await titles()).find((title) => title.includes('show branches'))).not.toContain('gives');
    // Nobody has asked for branches before. A slow machine may be still at work on them at the first time.
    let { value } = (await shown()).contents;
    while (value.includes('hover again')) ({ value } = (await shown()).contents);
    expect(value).toMatch(/After .*\(desired\): answer -?\d+, right\n```text\n/);
    expect(value).toMatch(/After .*\(undesired\): answer -?\d+, wrong\n```text\n/);
    expect((await titles()).find((title) => title.includes('show branches'))).toMatch(
      /gives -?\d+ ✗, .* gives -?\d+ ✓: show branches$/,
    );
    expect(editor.refreshed).toBeGreaterThan(0);
  });

  test('branches: what follows from either token', async () => {
    const pivot = opened.view.pivots[0]!;
    const branches = await editor.ask(traces.branches, { ...of(), token: pivot.token, patches: [] });
    const prompt = /^prompt_ids: (.*)$/m.exec(opened.text)![1]!.split(' ').length;
    const before = opened.ids.slice(0, pivot.token);
    const direct = await engine.call('complete', {
      model: ref,
      patch: null,
      prefixes: [pivot.desired.id, pivot.undesired.id].map((id) => ({ ids: [...before, id], prompt })),
      maxTokens: 96,
      stop: { answer: true, strings: [] },
    });
    expect(branches.map(({ role, answer }) => [role, answer])).toEqual([
      ['desired', direct[0]!.answer],
      ['undesired', direct[1]!.answer],
    ]);
    // What a located pivot means.
    expect(branches.map(({ correct }) => correct)).toEqual([true, false]);
    branches.forEach(({ text, token }, i) => {
      expect(text.startsWith(token.text)).toBe(true);
      expect(direct[i]!.text.endsWith(text)).toBe(true);
    });
  });

  test('the output under the patch, against the document and against the base', async () => {
    const parts: { side: string; tokens: number }[] = [];
    const to = [{ file: patch, scale: 1 }];
    const diff = await editor.ask(
      traces.outputDiff,
      { ...of(), from: null, to },
      { onPart: (part) => parts.push(part) },
    );
    expect(diff.from.text.length).toBeGreaterThan(0);
    expect(
      diff.stretches
        .filter(({ kind }) => kind !== 'added')
        .map(({ text }) => text)
        .join('')
        .replaceAll('<|endoftext|>', ''),
    ).toBe(diff.from.text);
    expect(
      diff.stretches
        .filter(({ kind }) => kind !== 'removed')
        .map(({ text }) => text)
        .join('')
        .replaceAll('<|endoftext|>', ''),
    ).toBe(diff.to.text);
    expect(parts.at(-1)).toMatchObject({ side: 'to' });
    const lines = opened.text.split('\n');
    for (const { kind, text, range } of diff.stretches) {
      if (kind === 'added') expect(range.start).toEqual(range.end);
      else if (range.start.line === range.end.line) {
        expect(lines[range.start.line]!.slice(range.start.character, range.end.character)).toBe(text);
      }
    }
    const same = await editor.ask(traces.outputDiff, { ...of(), from: to, to });
    expect(same).toMatchObject({ firstDivergence: null, firstDivergenceAt: null, divergence: null });
    expect(same.from).toEqual(same.to);
    expect(same.to).toEqual(diff.to);
  });

  test('tokenAt, hover, lenses, actions, hints, outline, folding, header completion', async () => {
    const pivot = opened.view.pivots[0]!;
    const { start } = pivot.range;
    const at = await editor.ask(traces.tokenAt, { ...of(), position: start });
    expect(at).toMatchObject({ index: pivot.token });
    const alternatives = await editor.ask(traces.alternatives, { ...of(), token: pivot.token });
    expect(alternatives).toHaveLength(4);
    expect(await editor.ask(traces.tokenAt, { ...of(), position: { line: 0, character: 0 } })).toBeNull();
    const textDocument = { uri: opened.document };
    const hover = await editor.send<{ contents: { value: string } }>('textDocument/hover', {
      textDocument,
      position: start,
    });
    expect(hover.contents.value).toContain(`id ${opened.ids[pivot.token]}`);
    const lenses = await editor.send<{ command: { title: string } }[]>('textDocument/codeLens', {
      textDocument,
    });
    expect(lenses.map(({ command }) => command.title)).toContain('reject');
    expect(await editor.send('codeLens/resolve', lenses[0])).toEqual(lenses[0]);
    const actions = await editor.send<{ title: string; kind: string }[]>('textDocument/codeAction', {
      textDocument,
      range: { start, end: start },
      context: { diagnostics: [] },
    });
    expect(actions.map(({ title }) => title)).toContain('Exclude this trace from training');
    const fixes = await editor.send<unknown[]>('textDocument/codeAction', {
      textDocument,
      range: { start, end: start },
      context: { diagnostics: [], only: ['quickfix'] },
    });
    expect(fixes).toEqual([]);
    const hints = await editor.send<unknown[]>('textDocument/inlayHint', {
      textDocument,
      range: { start: { line: 0, character: 0 }, end: { line: 999, character: 0 } },
    });
    expect(hints).toHaveLength(opened.view.pivots.length);
    const symbols = await editor.send<{ name: string }[]>('textDocument/documentSymbol', { textDocument });
    expect(symbols[0]!.name).toBe(`Problem ${opened.view.problem}`);
    const folds = await editor.send<unknown[]>('textDocument/foldingRange', { textDocument });
    expect(folds.length).toBeGreaterThan(0);
    const items = await editor.send<{ label: string }[]>('textDocument/completion', {
      textDocument,
      position: { line: 1, character: 0 },
    });
    expect(items.map(({ label }) => label)).toContain('excluded');
  });

  test('diagnostics tell the wrong answer', async () => {
    const told = await editor.when(published, ({ uri: of }) => of === opened.document);
    expect(told.diagnostics.map(({ code }) => code)).toContain('wrong-answer');
  });

  test('an annotation is an edit that the editor makes; then the old version is stale', async () => {
    const pivot = opened.view.pivots[0]!;
    const annotation = { edit: 'reject', token: pivot.token } as const;
    const { edits } = await editor.ask(traces.annotate, { ...of(), annotation });
    expect(edits).toHaveLength(1);
    const lines = opened.text.split('\n');
    const { range, newText } = edits[0]!;
    const line = lines[range.start.line]!;
    lines[range.start.line] =
      line.slice(0, range.start.character) + newText + line.slice(range.end.character);
    editor.change(opened.document, 2, lines.join('\n'));
    const view = await editor.ask(traces.view, { uri: opened.document, version: 2 });
    expect(view.pivots.find(({ token }) => token === pivot.token)!.status).toBe('rejected');
    const stale = [
      editor.ask(traces.view, of()),
      editor.ask(traces.scores, { ...of(), patches: [], visible: null }),
      editor.ask(traces.attribution, { ...of(), token: pivot.token, patches: [], components: false }),
      editor.ask(traces.branches, { ...of(), token: pivot.token, patches: [] }),
      editor.ask(traces.outputDiff, { ...of(), from: null, to: [] }),
      editor.ask(traces.annotate, { ...of(), annotation }),
      editor.ask(traces.tokenAt, { ...of(), position: { line: 0, character: 0 } }),
      editor.ask(traces.alternatives, { ...of(), token: pivot.token }),
    ];
    for (const answer of stale) expect((await failure(answer)).code).toBe(errorCodes.stale);
    editor.change(opened.document, 1, opened.text);
  });
});

test('a document that is changed while it is scored: the answer is that it is stale', async () => {
  const { document, text } = await openPivot();
  const patches = [{ file: patch, scale: 0.77 }];
  const answer = failure(editor.ask(traces.scores, { uri: document, version: 1, patches, visible: null }));
  editor.change(document, 2, text.replace('status=auto', 'status=accepted'));
  expect((await answer).code).toBe(errorCodes.stale);
  const found: number[] = [];
  const asked = { uri: document, version: 2, patches, visible: null };
  await editor.ask(traces.scores, asked, {
    onPart: ({ tokens }) => found.push(...tokens.map(({ index }) => index)),
  });
  expect(new Set(found).size).toBe(found.length);
  expect(found.length).toBeGreaterThan(10);
});

test('parts of a run: a mask that is learned on another run, seen as it grows; training of a circuit by hand', async () => {
  const masked = path.join(folder, 'runs', 'masked');
  const set = { 'mask.select': 'dcm', 'mask.lambda': 0.01, 'mask.epochs': 3 };
  const learn = await editor.ask(jobs.start, job(experiment, { out: masked, from: run, until: 'mask', set }));
  const learned = await editor.when(jobs.changed, ({ id, ended }) => id === learn.id && ended !== null);
  expect(learned).toMatchObject({ state: 'finished', error: null });
  expect(learned.stages.map(({ name }) => name)).toEqual(['generate', 'localize', 'mask']);
  const seen = editor.all(jobs.mask).filter(({ id }) => id === learn.id);
  const last = seen.at(-1)!;
  expect(last).toMatchObject({ run: masked, epoch: 3, lambda: 0.01 });
  const file = JSON.parse(fs.readFileSync(path.join(masked, 'mask.json'), 'utf8'));
  const values = floats(last.values);
  expect(values).toHaveLength(1600);
  expect(values[0]).toBeCloseTo(file.values[0].q[0], 5);
  expect(await editor.ask(circuit.open, { run: masked })).toMatchObject({
    method: 'dcm',
    lambda: 0.01,
    experiment,
  });

  const { file: selection, selected } = await editor.ask(circuit.saveSelection, {
    run,
    name: 'two heads',
    selected: [4, 9],
  });
  const out = path.join(folder, 'runs', 'by-hand');
  const trained = await editor.ask(
    jobs.start,
    job(experiment, { out, from: run, circuit: selection, until: 'amplify', set: { 'amplify.steps': 2 } }),
  );
  const ended = await editor.when(jobs.changed, ({ id, ended: at }) => id === trained.id && at !== null);
  expect(ended).toMatchObject({ state: 'finished', error: null });
  expect(await editor.ask(jobs.curve, { run: out })).toHaveLength(2);
  const view = await editor.ask(circuit.open, { run: out });
  expect(view).toMatchObject({ method: 'human', selected });
  const change = floats(view.change!);
  expect([...change.keys()].filter((i) => change[i]! > 0)).toEqual(selected);
  for (const id of [learn.id, trained.id]) await editor.ask(jobs.forget, { id });
  for (const one of [masked, out]) await editor.ask(runs.remove, { folder: one });
  await editor.ask(circuit.removeSelection, { run, name: 'two heads' });
});

const published = {
  method: 'textDocument/publishDiagnostics',
} as {
  method: string;
  types?: { params: { uri: string; diagnostics: { code: string; message: string; range: unknown }[] } };
};

describe('runs, their traces and patches', () => {
  test('runs/list, report, compare, flips', async () => {
    const { runs: rows, broken } = await editor.ask(runs.list, { folders: [folder] });
    expect(broken).toEqual([]);
    const report = JSON.parse(fs.readFileSync(path.join(run, 'report.json'), 'utf8'));
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      folder: run,
      status: 'finished',
      model,
      components: 16,
      target: { gain: report.target.gain, n: 24 },
      files: { patch, report: path.join(run, 'report.json') },
    });
    const shown = await editor.ask(runs.report, { folder: run });
    expect(shown!.suites[0]).toMatchObject({ kind: 'target', gain: report.target.gain, p: report.target.p });
    expect(shown!.circuit).toMatchObject({ components: 16, total: 1600 });
    const compared = await editor.ask(runs.compare, { a: run, b: run });
    const { amplified, base } = report.target;
    const side = { value: amplified.accuracy, base: base.accuracy, n: 24 };
    expect(compared.suites.map(({ role }) => role)).toContain('control');
    expect(compared.suites[0]).toMatchObject({ role: 'target', a: side, b: side });
    expect(compared.suites[0]!.paired).toMatchObject({
      n: 24,
      unpaired: 0,
      difference: 0,
      p: 1,
      gained: 0,
      lost: 0,
    });
    expect(compared).toMatchObject({ missing: [], settings: [], circuit: { both: 16, jaccard: 1 } });
    expect(await editor.ask(runs.study, { folder: run })).toBeNull();
    const study = path.join(folder, 'study');
    fs.mkdirSync(study);
    const seeds = [report, { ...report, seed: 2 }];
    fs.writeFileSync(path.join(study, 'report.json'), JSON.stringify(studyReport(seeds)));
    expect(await editor.ask(runs.study, { folder: study })).toEqual({
      folder: study,
      seeds: [1, 2].map((seed) => ({
        seed,
        folder: path.join(study, `seed-${seed}`),
        gain: report.target.gain,
      })),
      base: report.target.base.accuracy,
      gain: { mean: report.target.gain, error: 0 },
      worst: report.target.gain,
    });
    const flips = await editor.ask(runs.flips, { folder: run });
    expect(flips).toHaveLength(report.target.gained + report.target.lost);
  });

  test('a flip opens as a document with what the base model said', async () => {
    const [flip] = await editor.ask(runs.flips, { folder: run });
    const { file } = await editor.ask(runs.openFlip, { folder: run, flip: flip! });
    const text = fs.readFileSync(file, 'utf8');
    expect(text.slice(text.indexOf('\n---\n'))).toContain(flip!.base);
    expect(file.startsWith(path.join(run, 'flips'))).toBe(true);
    const document = editor.open(file, text);
    const view = await editor.ask(traces.view, { uri: document, version: 1 });
    expect(view).toMatchObject({ problem: flip!.id, model, correct: flip!.kind === 'right-to-wrong' });
  });

  test('traces/list of the run and of a folder of documents; writeDocuments', async () => {
    const { rows } = await editor.ask(traces.list, { folder: run });
    const lines = fs.readFileSync(path.join(run, 'traces.jsonl'), 'utf8').trimEnd().split('\n');
    expect(rows.map(({ id }) => id)).toEqual(lines.map((line) => JSON.parse(line).id));
    const located = fs.readFileSync(path.join(run, 'pairs.jsonl'), 'utf8').trimEnd().split('\n').length;
    expect(rows.reduce((sum, { pivots }) => sum + pivots, 0)).toBe(located);
    const first = await editor.ask(traces.writeDocuments, { run, which: 'pivots' });
    expect(first.kept).toBe(1);
    expect(first.written).toBeGreaterThan(0);
    const second = await editor.ask(traces.writeDocuments, { run, which: 'all' });
    expect(second).toMatchObject({ kept: first.written + 1, written: rows.length - first.written - 1 });
    const documents = await editor.ask(traces.list, { folder: first.folder });
    expect(documents.problems).toEqual([]);
    const ids = (list: traces.TraceRow[]) =>
      list.map(({ id, pivots, answer, correct }) => [id, pivots, answer, correct]);
    expect(ids(documents.rows).sort()).toEqual(ids(rows).sort());
  });

  test('documents say what was annotated; a run on them says whose pivots it has', async () => {
    const ask = (of: string) => editor.ask(runs.annotations, { folder: of });
    const located = fs.readFileSync(path.join(run, 'pairs.jsonl'), 'utf8').trimEnd().split('\n').length;
    const nothing = { accepted: 0, edited: 0, marked: 0, rejected: 0, excluded: 0 };
    const before = await ask(run);
    expect(before).toMatchObject({ run, pairs: located, ...nothing, changed: 0 });
    const { rows } = await editor.ask(traces.list, { folder: run });
    const files = rows.filter(({ pivots }) => pivots > 0).map(({ document }) => document!);
    const texts = files.map((file) => fs.readFileSync(file, 'utf8'));
    const [accepted, excluded, ...others] = files as [string, string, ...string[]];
    expect(others.length).toBeGreaterThan(0);
    fs.writeFileSync(accepted, texts[0]!.replace(/^(pivot: .*)\bstatus=auto\b/m, '$1status=accepted'));
    fs.writeFileSync(excluded, texts[1]!.replace(/^pivot: /m, 'excluded: true\npivot: '));
    const after = await ask(run);
    expect(after).toMatchObject({ ...nothing, accepted: 1, excluded: 1, changed: 2, pairs: located - 1 });
    // Of the documents alone nothing is known before.
    const alone = await ask(path.join(run, 'documents'));
    expect(alone).toMatchObject({ run: null, accepted: 1, excluded: 1, changed: before.documents });
    const { folder: out } = await editor.ask(runs.freeFolder, { run });
    expect(out).toBe(`${run}-2`);
    const spec = job(experiment, { out, from: run, until: 'mask' });
    const cost = await editor.ask(jobs.estimate, { job: spec, measure: false });
    expect(cost.stages.map(({ kept }) => kept)).toEqual([true, true, false]);
    const { id } = await editor.ask(jobs.start, spec);
    expect((await editor.ask(runs.freeFolder, { run })).folder).toBe(`${run}-3`);
    const ended = await editor.when(jobs.changed, (one) => one.id === id && one.state !== 'running');
    expect(ended).toMatchObject({ state: 'finished', error: null });
    const listed = await editor.ask(runs.list, { folders: [folder] });
    expect(listed.runs.find((row) => row.folder === out)!.pivots).toEqual({
      source: run,
      pairs: located - 1,
      accepted: 1,
      edited: 0,
      marked: 0,
    });
    expect(listed.runs.find((row) => row.folder === run)!.pivots).toBeNull();
    // Documents of the new run say what it was made from.
    await editor.ask(traces.writeDocuments, { run: out, which: 'all' });
    expect(await ask(out)).toMatchObject({ ...nothing, accepted: 1, excluded: 1, changed: 0 });
    for (const [i, file] of files.entries()) fs.writeFileSync(file, texts[i]!);
    await editor.ask(jobs.forget, { id });
    await editor.ask(runs.remove, { folder: out });
    fs.rmSync(out, { recursive: true, force: true });
  });

  test('patches: list, export as patch, checkpoint and PEFT, revert bit for bit', async () => {
    const { patches, broken } = await editor.ask(runs.patches, { folders: [folder] });
    expect(broken).toEqual([]);
    expect(patches).toMatchObject([{ file: patch, run, model, rows: 16, weights: 2048, name: 'tiny' }]);
    const stack = [
      { file: patch, scale: 0.5 },
      { file: patch, scale: 0.25 },
    ];
    const at = (name: string) => path.join(folder, name);
    await editor.ask(runs.exportPatches, { model, patches: stack, as: 'patch', out: at('half.safetensors') });
    await editor.ask(runs.exportPatches, { model, patches: stack, as: 'peft', out: at('peft') });
    expect(fs.existsSync(at('peft/adapter_model.safetensors'))).toBe(true);
    const made = await editor.ask(runs.exportPatches, {
      model,
      patches: stack,
      as: 'checkpoint',
      out: at('merged'),
    });
    expect(made.rows).toBe(16);
    await editor.ask(runs.revertPatches, { model: at('merged'), patches: stack, out: at('reverted') });
    const weights = (checkpoint: string) => fs.readFileSync(path.join(checkpoint, 'model.safetensors'));
    expect(weights(at('reverted')).equals(weights(model))).toBe(true);
    expect(weights(at('merged')).equals(weights(model))).toBe(false);
    const ids = [1, 5, 9, 12];
    const score = (patch: { file: string; scale: number }[], checkpoint = model) =>
      engine.call('score', { model: { ...ref, folder: checkpoint }, patch, text: ids, topK: 1 });
    const stacked = await score(stack);
    const half = await score([{ file: at('half.safetensors'), scale: 1 }]);
    const merged = await score([], at('merged'));
    expect(half.logprob).toBeCloseTo(stacked.logprob, 4);
    expect(merged.logprob).toBeCloseTo(stacked.logprob, 4);
  });

  test('pairs are exported as pivots and as preferences', async () => {
    for (const as of ['pts', 'dpo'] as const) {
      const out = path.join(folder, `${as}.jsonl`);
      const { records } = await editor.ask(runs.exportPairs, { run, as, out });
      expect(fs.readFileSync(out, 'utf8').trimEnd().split('\n')).toHaveLength(records);
    }
  });
});

describe('the circuit', () => {
  test('open, attribute, purpose', async () => {
    const before = await editor.ask(circuit.open, { run });
    expect(before).toMatchObject({ method: 'fisher', experiment, attribution: null });
    const early = await editor.ask(circuit.relatedPairs, { run, template: null, components: [] });
    expect(early.served).toBeNull();
    expect(before.shape).toMatchObject({ layers: 4, heads: 8, headDim: 16, hiddenSize: 128 });
    expect(before.selected).toHaveLength(16);
    const change = floats(before.change!);
    const changed = [...change.keys()].filter((i) => change[i]! > 0);
    expect(changed).toEqual(before.selected);
    const parts: { done: number; total: number }[] = [];
    const { attribution, pairs } = await editor.ask(
      circuit.attribute,
      { run },
      { onPart: (part) => parts.push(part) },
    );
    expect(parts.at(-1)).toEqual({ done: pairs, total: pairs });
    const mean = floats(attribution);
    const direct = await engine.call('attribute', {
      model: ref,
      patch: null,
      pairs: run,
      pair: null,
      components: true,
    });
    const { kind, layer, index, gradient } = direct.components![0]!;
    const best = mean.indexOf(Math.min(...mean));
    expect(mean[best]).toBeCloseTo(gradient, 4);
    const purpose = await editor.ask(circuit.purpose, { run, component: best });
    const name = { q: 'query head', k: 'key head', v: 'value head', mlp: 'neuron' }[kind];
    expect(purpose.label).toBe(`layer ${layer} ${name} ${index}`);
    expect(purpose.gradient).toBeCloseTo(gradient, 4);
    const served = purpose.served!;
    expect(served.length).toBeGreaterThan(0);
    // Where the pair's pivot is in its trace, of which there may be several.
    for (const { trace, token, desired } of served) {
      const { file } = await editor.ask(traces.open, { run, trace: trace! });
      const uri = editor.open(file, fs.readFileSync(file, 'utf8'));
      const { pivots } = await editor.ask(traces.view, { uri, version: 1 });
      expect(pivots.find((pivot) => pivot.token === token)?.desired.text).toBe(desired);
    }
    const gradients = served.map((pair) => pair.gradient);
    expect([...gradients].sort((a, b) => a - b)).toEqual(gradients);
    expect(purpose.rows[0]!.norm).toBeGreaterThan(0);
    const selected = await editor.ask(circuit.purpose, { run, component: before.selected[0]! });
    expect(selected.rows[0]!.change).toBeCloseTo(change[before.selected[0]!]!, 5);
    // Training pivots of a token elsewhere: of its template, and by its components.
    const { rows } = await editor.ask(traces.list, { folder: run });
    const templateOf = new Map(rows.map(({ id, template }) => [id, template]));
    const template = templateOf.get(served[0]!.trace!)!;
    const components = [{ component: best, gradient: -0.5 }];
    const related = await editor.ask(circuit.relatedPairs, { run, template, components });
    expect(related.served!.map(({ pair }) => pair)).toEqual(served.map(({ pair }) => pair));
    related.served!.forEach((pair, i) => {
      expect(pair.agreement).toBeCloseTo(-0.5 * gradients[i]!, 6);
    });
    expect(related.template!.count).toBeGreaterThan(0);
    expect(related.template!.pairs.map(({ trace }) => templateOf.get(trace!))).toEqual(
      related.template!.pairs.map(() => template),
    );
    const nothing = await editor.ask(circuit.relatedPairs, { run, template: null, components: [] });
    expect(nothing).toEqual({ template: null, served: [] });
    // The second time it is read: no pair is attributed again.
    const again: unknown[] = [];
    expect(await editor.ask(circuit.attribute, { run }, { onPart: (part) => again.push(part) })).toEqual({
      attribution,
      pairs,
    });
    expect(again).toEqual([]);
    expect((await editor.ask(circuit.open, { run })).attribution).toBe(attribution);
  });

  test('what a training begins with: the run’s own settings, or the product’s', async () => {
    const ask = (of: string) => editor.ask(panel.trainingSettings, { run: of });
    expect(await ask(run)).toMatchObject({
      choices: { steps: 6, validateEvery: 2, neurons: 'up', variants: [] },
      limits: { maxKl: 0.05, maxDrop: 1 },
    });
    expect((await ask(path.join(folder, 'nowhere'))).choices.steps).toBe(30);
  });

  test('selections: save, list, remove; a wrong one is told', async () => {
    const saved = await editor.ask(circuit.saveSelection, { run, name: 'by hand', selected: [9, 3, 1500] });
    expect(saved.selected).toEqual([3, 9, 1500]);
    fs.writeFileSync(path.join(run, 'selections', 'broken.json'), '{}');
    const { selections, problems } = await editor.ask(circuit.selections, { run });
    expect(selections).toEqual([saved]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('broken.json');
    expect(await editor.ask(circuit.removeSelection, { run, name: 'by hand' })).toBeNull();
    expect((await editor.ask(circuit.selections, { run })).selections).toEqual([]);
    for (const name of ['../out', 'a/b', '.hidden']) {
      const refused = await failure(editor.ask(circuit.saveSelection, { run, name, selected: [1] }));
      expect(refused.code).toBe(errorCodes.input);
    }
    fs.rmSync(path.join(run, 'selections', 'broken.json'));
  });
});

test('devices, and the engine tells its state', async () => {
  const devices = await editor.ask(engineProtocol.devices, null);
  expect(devices.find(({ name }) => name === 'cpu')).toMatchObject({ available: true });
  const status = editor.all(engineProtocol.engineStatus).findLast(({ model: of }) => of !== null)!;
  expect(status).toMatchObject({ device: 'cpu', failure: null });
  expect(status.memory).toBeGreaterThan(2 ** 26);
  expect(
    editor.all(engineProtocol.engineStatus).some(({ tokensPerSecond }) => (tokensPerSecond ?? 0) > 0),
  ).toBe(true);
});

describe('an experiment file', () => {
  test('what its schema cannot see is a diagnostic at its place', async () => {
    const text = fs.readFileSync(experiment, 'utf8').replace('val.jsonl', 'gone.jsonl');
    const document = editor.open(path.join(folder, 'other.experiment.json'), text, 'json');
    const told = await editor.when(published, ({ uri: of }) => of === document);
    expect(told.diagnostics).toHaveLength(1);
    expect(told.diagnostics[0]!.message).toMatch(/gone\.jsonl: there is no such file/);
    const line = text.split('\n').findIndex((one) => one.includes('gone.jsonl'));
    expect(told.diagnostics[0]!.range).toMatchObject({ start: { line } });
    const broken = text.replace('gone.jsonl', 'val.jsonl').replace(/"steps": 6/, '"steps": -1');
    editor.change(document, 2, broken);
    const next = await editor.when(
      published,
      ({ uri: of, diagnostics }) => of === document && /steps/.test(diagnostics[0]?.message ?? ''),
    );
    expect(next.diagnostics).toHaveLength(1);
  });

  test('other JSON is left alone', async () => {
    const document = editor.open(path.join(folder, 'package.json'), '{}', 'json');
    await editor.ask(engineProtocol.configure, {
      trusted: true,
      storage,
      device: 'cpu',
      threads: 2,
      lean: false,
      background: false,
      topK: 4,
      maxTokens: 96,
      model: null,
      models: [],
    });
    const foreign = editor.open(path.join(folder, 'my-experiment.json'), '{ "model": 7 }', 'json');
    await editor.ask(traces.list, { folder: run });
    expect(editor.all(published).filter(({ uri: of }) => of === foreign)).toEqual([]);
    expect(editor.all(published).filter(({ uri: of }) => of === document)).toEqual([]);
  });
});

test('every request refuses bad parameters, naming the field', async () => {
  const of = { uri: uri(path.join(folder, 'x.trace')), version: 1 };
  const bad: [string, unknown, string][] = [
    ['cca/traces/view', { uri: 7, version: 1 }, 'uri'],
    ['cca/traces/view', null, 'the parameters'],
    ['cca/traces/scores', { ...of, patches: [{ file: 'a' }], visible: null }, 'patches[0].scale'],
    [
      'cca/traces/scores',
      { ...of, patches: [], visible: { start: { line: -1, character: 0 } } },
      'visible.start.line',
    ],
    ['cca/traces/attribution', { ...of, token: 1.5, patches: [], components: true }, 'token'],
    ['cca/traces/branches', { ...of, token: 'a', patches: [] }, 'token'],
    ['cca/traces/annotate', { ...of, annotation: { edit: 'jump', token: 1 } }, 'annotation.edit'],
    ['cca/traces/annotate', { ...of, annotation: { edit: 'move', token: 1 } }, 'annotation.to'],
    ['cca/traces/tokenAt', { ...of }, 'position'],
    ['cca/traces/alternatives', { ...of, token: -1 }, 'token'],
    ['cca/traces/diff', { ...of, from: 'base', to: [] }, 'from'],
    ['cca/traces/list', {}, 'folder'],
    ['cca/traces/open', { run }, 'trace'],
    ['cca/traces/writeDocuments', { run, which: 'some' }, 'which'],
    ['cca/runs/list', { folders: folder }, 'folders'],
    ['cca/runs/delete', {}, 'folder'],
    ['cca/runs/report', { folder: '' }, 'folder'],
    ['cca/runs/annotations', {}, 'folder'],
    ['cca/runs/study', {}, 'folder'],
    ['cca/runs/freeFolder', {}, 'run'],
    ['cca/runs/compare', { a: run }, 'b'],
    ['cca/runs/flips', {}, 'folder'],
    ['cca/runs/openFlip', { folder: run, flip: { set: 'test' } }, 'flip.id'],
    ['cca/patches/list', {}, 'folders'],
    ['cca/patches/export', { model, patches: [], as: 'zip', out: 'x' }, 'as'],
    ['cca/patches/revert', { model, patches: {}, out: 'x' }, 'patches'],
    ['cca/pairs/export', { run, as: 'csv', out: 'x' }, 'as'],
    ['cca/circuit/open', { run: null }, 'run'],
    ['cca/circuit/attribute', {}, 'run'],
    ['cca/circuit/training', {}, 'run'],
    ['cca/circuit/purpose', { run, component: -1 }, 'component'],
    ['cca/circuit/pairs', { run, template: null, components: [{ component: 1 }] }, 'components[0].gradient'],
    ['cca/circuit/selections/save', { run, name: 'x', selected: [1.5] }, 'selected[0]'],
    ['cca/circuit/selections', {}, 'run'],
    ['cca/circuit/selections/remove', { run }, 'name'],
    ['cca/jobs/start', { ...job(experiment), until: 'soon' }, 'until'],
    ['cca/jobs/start', { ...job(experiment), set: { a: null } }, 'set.a'],
    ['cca/jobs/cancel', {}, 'id'],
    ['cca/jobs/endTraining', {}, 'id'],
    ['cca/jobs/forget', { id: 4 }, 'id'],
    ['cca/jobs/estimate', { job: {}, measure: true }, 'job.experiment'],
    ['cca/jobs/curve', {}, 'run'],
    ['cca/configure', { trusted: 'yes' }, 'trusted'],
  ];
  for (const [method, params, field] of bad) {
    const { code, message } = await failure(editor.send(method, params));
    expect([method, code, message.split(':')[0]]).toEqual([method, -32602, field]);
  }
});

test('what the user can mend is told in one line', async () => {
  const cases: [() => Promise<unknown>, RegExp][] = [
    [
      () => editor.ask(traces.view, { uri: uri('/nowhere.trace'), version: 1 }),
      /is not an open trace document/,
    ],
    [() => editor.ask(traces.open, { run, trace: 'none' }), /has no trace none/],
    [() => editor.ask(traces.list, { folder: path.join(folder, 'gone') }), /no such folder/],
    [() => editor.ask(circuit.open, { run: folder }), /not the folder of a run/],
    [() => editor.ask(circuit.purpose, { run, component: 99_999 }), /components 0 \.\. 1599/],
    [() => editor.ask(runs.compare, { a: run, b: folder }), /is not a run folder/],
    [() => editor.ask(runs.exportPatches, { model, patches: [], as: 'patch', out: 'x' }), /none is chosen/],
    [() => editor.ask(jobs.start, job(path.join(folder, 'gone.json'))), /gone\.json/],
    [() => editor.ask(jobs.cancel, { id: 'gone' }), /is not there any more/],
    [() => editor.ask(circuit.saveSelection, { run, name: 'none', selected: [] }), /is empty/],
  ];
  for (const [answer, message] of cases) {
    const failed = await failure(answer());
    expect(failed.code).toBe(errorCodes.input);
    expect(failed.message).toMatch(message);
    expect(failed.message).not.toContain('\n');
  }
});

describe('a request that is cancelled is answered at once, and the engine works on', () => {
  /** Each under weights that nothing is known of yet. */
  let asked = 0;
  const patches = () => [{ file: patch, scale: 0.3 + asked++ / 100 }];
  const merged = path.join(folder, 'to-be-reverted');
  const unattributed = path.join(folder, 'runs', 'unattributed');
  const out = path.join(folder, 'not-made');
  let of: traces.OfDocument;
  let token: number;

  beforeAll(async () => {
    const { document, view } = await openPivot();
    of = { uri: document, version: 1 };
    token = view.pivots[0]!.token;
    fs.cpSync(run, unattributed, { recursive: true });
    fs.rmSync(path.join(unattributed, 'attribution.bin'), { force: true });
    await editor.ask(runs.exportPatches, {
      model,
      patches: [{ file: patch, scale: 1 }],
      as: 'checkpoint',
      out: merged,
    });
  });

  /** Outputs that are being completed: the engine takes turns between them and whatever else is asked. */
  async function atWork() {
    let begun = () => {};
    const first = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const diffs = [1, 2, 3].map(() =>
      editor.ask(traces.outputDiff, { ...of, from: patches(), to: patches() }, { onPart: begun }),
    );
    let over = false;
    const work = Promise.all(diffs).finally(() => {
      over = true;
    });
    await first;
    return { work, isOver: () => over };
  }

  type Send = (cancel: AbortSignal) => Promise<unknown>;
  test.each<[string, Send]>([
    [
      'scores',
      (cancel) => editor.ask(traces.scores, { ...of, patches: patches(), visible: null }, { cancel }),
    ],
    [
      'attribution',
      (cancel) =>
        editor.ask(traces.attribution, { ...of, token, patches: patches(), components: true }, { cancel }),
    ],
    ['branches', (cancel) => editor.ask(traces.branches, { ...of, token, patches: patches() }, { cancel })],
    [
      'an output diff',
      (cancel) => editor.ask(traces.outputDiff, { ...of, from: null, to: patches() }, { cancel }),
    ],
    ['attribution of a run', (cancel) => editor.ask(circuit.attribute, { run: unattributed }, { cancel })],
    [
      'a checkpoint',
      (cancel) =>
        editor.ask(runs.exportPatches, { model, patches: patches(), as: 'checkpoint', out }, { cancel }),
    ],
    [
      'an adapter',
      (cancel) => editor.ask(runs.exportPatches, { model, patches: patches(), as: 'peft', out }, { cancel }),
    ],
    [
      'a revert',
      (cancel) =>
        editor.ask(
          runs.revertPatches,
          { model: merged, patches: [{ file: patch, scale: 1 }], out },
          { cancel },
        ),
    ],
    ['pairs', (cancel) => editor.ask(runs.exportPairs, { run, as: 'dpo', out }, { cancel })],
  ])('%s', async (_, send) => {
    const made = [out, path.join(unattributed, 'attribution.bin')];
    for (let tries = 1; ; tries++) {
      const { work, isOver } = await atWork();
      const controller = new AbortController();
      const answer = send(controller.signal).then(
        () => null,
        ({ code, message }: { code: number; message: string }) => ({ code, message, waited: isOver() }),
      );
      controller.abort();
      const told = await answer;
      // The others' work is not disturbed.
      for (const { to } of await work) expect(to.text.length).toBeGreaterThan(0);
      if (told === null && tries < 20) {
        // It was done before it was cancelled.
        for (const file of made) fs.rmSync(file, { recursive: true, force: true });
        continue;
      }
      expect(told).toEqual({ code: -32800, message: 'cancelled', waited: false });
      expect(made.filter((file) => fs.existsSync(file))).toEqual([]);
      return;
    }
  });

  test.each<[string, (crowd: string, cancel: AbortSignal) => Promise<unknown>]>([
    ['the list of runs', (crowd, cancel) => editor.ask(runs.list, { folders: [crowd] }, { cancel })],
    [
      'what a job costs',
      (crowd, cancel) =>
        editor.ask(
          jobs.estimate,
          { job: job(experiment, { out: path.join(crowd, 'runs', 'next') }), measure: false },
          { cancel },
        ),
    ],
    [
      'the list of traces',
      (crowd, cancel) => editor.ask(traces.list, { folder: path.join(crowd, 'runs', '0') }, { cancel }),
    ],
  ])('%s, of many', async (_, send) => {
    const crowd = fs.mkdtempSync(path.join(folder, 'crowd-'));
    for (let i = 0; i < 600; i++) {
      const to = path.join(crowd, 'runs', String(i));
      fs.mkdirSync(to, { recursive: true });
      for (const name of ['manifest.json', 'journal.jsonl']) {
        fs.copyFileSync(path.join(run, name), path.join(to, name));
      }
    }
    const line = (i: number) => `{"id":"t${i}","problem_id":"p","target":1,"answer":2,"correct":false}\n`;
    const many = Array.from({ length: 100_000 }, (_, i) => line(i)).join('');
    fs.writeFileSync(path.join(crowd, 'runs', '0', 'traces.jsonl'), many);
    const controller = new AbortController();
    const answer = failure(send(crowd, controller.signal));
    controller.abort();
    expect(await answer).toEqual({ code: -32800, message: 'cancelled' });
    expect((await editor.ask(runs.list, { folders: [folder] })).runs.length).toBeGreaterThan(0);
    fs.rmSync(crowd, { recursive: true });
  });
});

test('a workspace that is not trusted: documents work, nothing is loaded or run', async () => {
  const { document, view, text } = await openPivot();
  const start = (own: string[]) =>
    new Editor().start({ storage: path.join(folder, 'careful'), trusted: false }, own);
  const careful = await start([folder, demo]);
  const other = careful.open(path.join(run, 'documents', path.basename(new URL(document).pathname)), text);
  const of = { uri: other, version: 1 };
  expect((await careful.ask(traces.view, of)).pivots).toHaveLength(view.pivots.length);
  expect((await careful.ask(circuit.open, { run })).change).toBeNull();
  const refused = [
    careful.ask(traces.scores, { ...of, patches: [], visible: null }),
    careful.ask(traces.attribution, { ...of, token: 1, patches: [], components: false }),
    careful.ask(traces.branches, { ...of, token: 1, patches: [] }),
    careful.ask(traces.outputDiff, { ...of, from: null, to: [] }),
    careful.ask(circuit.attribute, { run }),
    careful.ask(circuit.purpose, { run, component: 0 }),
    careful.ask(jobs.start, job(experiment)),
    careful.ask(runs.exportPatches, { model, patches: [], as: 'patch', out: 'x' }),
    careful.ask(runs.revertPatches, { model, patches: [], out: 'x' }),
    careful.ask(runs.exportPairs, { run, as: 'dpo', out: 'x' }),
  ];
  for (const answer of refused) expect((await failure(answer)).code).toBe(errorCodes.untrusted);
  await careful.stop();
  // What the workspace's files name outside of it is not even looked at.
  const narrow = await start([folder]);
  narrow.open(path.join(run, 'documents', path.basename(new URL(document).pathname)), text);
  const seen = await narrow.ask(traces.view, of);
  expect(seen).toMatchObject({ model: null, tokens: null });
  expect(seen.pivots).toHaveLength(view.pivots.length);
  const outside = /lies outside the workspace, which is not trusted/;
  expect((await failure(narrow.ask(circuit.open, { run }))).message).toMatch(outside);
  const known = fs.readFileSync(experiment, 'utf8');
  const inside = { ...JSON.parse(known), text: ['./absent.txt', '/nowhere/else.txt'] };
  const file = narrow.open(path.join(folder, 'x.experiment.json'), JSON.stringify(inside), 'json');
  const { diagnostics } = await narrow.when(published, ({ uri: told }) => told === file);
  expect(diagnostics.map(({ message }) => message.split(':')[0])).toEqual(['./absent.txt']);
  await narrow.stop();
});

test('folders of the workspace that come and go, each with its own model in the settings', async () => {
  const { text } = await openPivot();
  const options = {
    models: [
      { folder, model },
      { folder: demo, model: null },
    ],
  };
  const several = await new Editor().start(
    { storage: path.join(folder, 'several'), trusted: false, ...options },
    [demo],
  );
  expect(several.initialized.capabilities.workspace?.workspaceFolders?.supported).toBe(true);
  const headless = text.replace(/^(?:model|run): .*\n/gm, '');
  const of = { uri: several.open(path.join(folder, 'bare.trace'), headless), version: 1 };
  expect((await several.ask(traces.view, of)).model).toBe(model);
  const other = { uri: several.open(path.join(demo, 'bare.trace'), headless), version: 1 };
  expect((await several.ask(traces.view, other)).model).toBeNull();
  const change = (added: string[], removed: string[]) => {
    const event = { added: added.map(named), removed: removed.map(named) };
    return several.connection.sendNotification('workspace/didChangeWorkspaceFolders', { event });
  };
  const named = (one: string) => ({ uri: uri(one), name: path.basename(one) });
  // Not trusted: the run's model may be looked at as long as its folder is one of the workspace.
  expect((await several.ask(circuit.open, { run })).shape.layers).toBeGreaterThan(0);
  await change([folder], [demo]);
  expect((await failure(several.ask(circuit.open, { run }))).message).toMatch(/lies outside the workspace/);
  await several.stop();
});

test('runs/delete takes the run away, and what was derived from it; runs/changed tells', async () => {
  fs.cpSync(run, path.join(folder, 'runs', 'copy'), { recursive: true });
  for (const name of ['documents', 'flips', 'selections']) {
    fs.rmSync(path.join(folder, 'runs', 'copy', name), { recursive: true, force: true });
  }
  const copy = path.join(folder, 'runs', 'copy');
  expect(fs.existsSync(path.join(copy, 'attribution.bin'))).toBe(true);
  await editor.ask(runs.list, { folders: [folder] });
  expect(await editor.ask(runs.remove, { folder: copy })).toEqual({ kept: [] });
  expect(fs.existsSync(copy)).toBe(false);
  await editor.when(runs.changed, ({ folder: changed }) => changed.startsWith(path.join(folder, 'runs')), 10);
});

test('an ended job is forgotten; its run stays', async () => {
  const [ended] = await editor.ask(jobs.list, null);
  expect(await editor.ask(jobs.forget, { id: ended!.id })).toBeNull();
  expect(await editor.ask(jobs.list, null)).toEqual([]);
  expect(fs.existsSync(path.join(run, 'report.json'))).toBe(true);
  expect(editor.logged).toEqual([]);
});
