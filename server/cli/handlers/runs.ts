import path from 'node:path';
import { compareRuns } from '../../pipeline/compare.ts';
import { deleteRun, describeRun, listRuns, type RunDescription } from '../../runs/catalogue.ts';
import type { Handlers } from '../commands/index.ts';
import { bytes, duration, table } from '../render.ts';
import { showComparison } from './comparison.ts';

/** The commands on run folders; they need no model. */
export const runsHandlers: Pick<Handlers, 'runs list' | 'runs show' | 'runs compare' | 'runs delete'> = {
  'runs list': async ({ root }) => {
    const base = root ?? process.cwd();
    const { runs, broken } = await listRuns(base);
    const rows = runs.map((run) => [
      path.relative(base, run.folder) || '.',
      run.status,
      run.manifest.created.slice(0, 16).replace('T', ' '),
      duration(seconds(run)),
      stageLine(run),
    ]);
    const damaged = broken.map(({ problem }) => `damaged: ${problem}\n`).join('');
    const text =
      rows.length > 0 ? table(['run', 'status', 'created (UTC)', 'time', 'stages'], rows) : 'no runs\n';
    return { data: { runs, broken }, text: text + damaged };
  },

  'runs show': async ({ run }) => {
    const description = describeRun(run);
    return { data: { run: description }, text: show(description) };
  },

  'runs compare': async ({ a, b, flips }) => {
    const comparison = await compareRuns(a, b);
    return { data: { comparison }, text: showComparison(comparison, flips) };
  },

  'runs delete': async ({ run }) => {
    const { kept } = deleteRun(run);
    const rest = kept.length > 0 ? `; not made by the run and kept: ${kept.join(', ')}` : '';
    return { data: { deleted: run, kept }, text: `deleted ${run}${rest}\n` };
  },
};

function show(run: RunDescription): string {
  const { manifest, holder } = run;
  const facts = [
    ['folder', run.folder],
    ['status', run.status + (holder ? ` (process ${holder.pid} on ${holder.host})` : '')],
    ...(manifest.error ? [['error', manifest.error]] : []),
    ['created', manifest.created],
    ...(manifest.finished ? [['ended', manifest.finished]] : []),
    ...(manifest.model ? [['model', `${manifest.model.path} (${manifest.model.hash})`]] : []),
    ...Object.entries(manifest.data).map(([name, source]) => [name, `${source.path} (${source.hash})`]),
    ['seed', String(manifest.seed)],
    ['device', manifest.device],
    ['made by', `${manifest.product.name} ${manifest.product.version}`],
  ];
  const width = Math.max(...facts.map(([name]) => name!.length));
  const stages = run.stages.map((stage) => [
    stage.name,
    stage.status,
    String(stage.units),
    duration(stage.seconds),
    JSON.stringify(manifest.stages[stage.name]),
  ]);
  const files = run.artefacts.map(({ name, bytes: size }) => [name, size === null ? 'folder' : bytes(size)]);
  return [
    facts.map(([name, value]) => `${name!.padEnd(width)}  ${value}\n`).join(''),
    table(['stage', 'status', 'units', 'time', 'settings'], stages),
    ...(files.length > 0 ? [table(['file', 'size'], files)] : []),
  ].join('\n');
}

function stageLine(run: RunDescription): string {
  const finished = run.stages.filter((stage) => stage.status === 'finished').length;
  const current = run.stages.find((stage) => stage.status === 'begun');
  return `${finished} of ${run.stages.length}${current ? `, in ${current.name}` : ''}`;
}

function seconds(run: RunDescription): number {
  return run.stages.reduce((sum, stage) => sum + stage.seconds, 0);
}
