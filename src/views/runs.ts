import {
  type Disposable,
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  Uri,
  window,
} from 'vscode';
import { rootName } from '../config.ts';
import { views } from '../contributions.ts';
import { isRunning, progressLine } from '../jobs/describe.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { messageOf } from '../notify.ts';
import { Batched } from './batched.ts';
import type { Catalogue } from './catalogue.ts';
import {
  type FileNode,
  type JobNode,
  jobContext,
  type RunNode,
  runChildren,
  runContext,
  runDescription,
  runFigures,
  runIsActive,
  type StageNode,
} from './run-nodes.ts';

/** Rows of running jobs are drawn anew at most this often (milliseconds). */
const EVERY_MS = 250;

interface BrokenNode {
  kind: 'broken';
  folder: string;
  problem: string;
}

export type RunsNode = RunNode | JobNode | StageNode | FileNode | BrokenNode;

/** Runs with their state, progress and figures; below each its stages and files. */
export class RunsView implements TreeDataProvider<RunsNode>, Disposable {
  readonly #catalogue: Catalogue;
  readonly #jobs: Jobs;
  readonly #changed = new EventEmitter<RunsNode[] | undefined>();
  readonly #view: TreeView<RunsNode>;
  readonly #subscriptions: Disposable[];
  #nodes = new Map<string, RunNode | JobNode>();
  /** Beginnings and ends of jobs for which the list was read. */
  readonly #turns = new Set<string>();

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(catalogue: Catalogue, jobs: Jobs) {
    this.#catalogue = catalogue;
    this.#jobs = jobs;
    const rows = new Batched<string>(EVERY_MS, (folders) => this.#refresh(folders));
    this.#view = window.createTreeView(views.runs, {
      treeDataProvider: this,
      showCollapseAll: true,
      canSelectMany: true,
    });
    this.#subscriptions = [
      this.#view,
      rows,
      catalogue.onChange(() => this.#changed.fire(undefined)),
      jobs.onChange((job) => rows.add(job.run)),
      jobs.onList(() => this.#changed.fire(undefined)),
    ];
  }

  /** Runs that are selected in the view. */
  get selected(): RunNode[] {
    return this.#view.selection.filter((node) => node.kind === 'run');
  }

  async getChildren(node?: RunsNode): Promise<RunsNode[]> {
    if (node) return node.kind === 'run' ? runChildren(node) : [];
    try {
      const { runs, broken } = await this.#catalogue.list();
      this.#view.message = '';
      this.#nodes = new Map(
        runs.map((row) => [
          row.folder,
          { kind: 'run', row, job: this.#jobs.of(row.folder), root: rootName(row.folder) },
        ]),
      );
      const early = this.#jobs.running.filter(({ run }) => !this.#nodes.has(run));
      for (const job of early) this.#nodes.set(job.run, { kind: 'job', job });
      this.#badge();
      return [...this.#nodes.values(), ...broken.map((item): BrokenNode => ({ kind: 'broken', ...item }))];
    } catch (reason) {
      this.#view.message = messageOf(reason);
      return [];
    }
  }

  getParent(): undefined {
    return undefined;
  }

  getTreeItem(node: RunsNode): TreeItem {
    switch (node.kind) {
      case 'run':
        return runItem(node);
      case 'job':
        return jobItem(node);
      case 'stage':
        return stageItem(node);
      case 'file':
        return fileItem(node);
      case 'broken':
        return brokenItem(node);
    }
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  /** Redraws rows of runs whose job changed; a run that is not there yet needs the list. */
  #refresh(folders: string[]): void {
    const known = folders.flatMap((folder) => this.#nodes.get(folder) ?? []);
    for (const node of known) {
      const job = this.#jobs.of(node.kind === 'run' ? node.row.folder : node.job.run);
      if (job) node.job = job;
    }
    this.#badge();
    // The list is read again when a job begins and when it ends: what it writes between the server tells.
    const turns = folders.map((folder) => {
      const job = this.#jobs.of(folder);
      return job ? `${job.id} ${isRunning(job)}` : folder;
    });
    const news = turns.filter((turn) => !this.#turns.has(turn));
    for (const turn of news) this.#turns.add(turn);
    if (news.length > 0) this.#catalogue.refresh();
    else if (known.length > 0) this.#changed.fire(known);
  }

  #badge(): void {
    const value = this.#jobs.running.length;
    const tooltip = value === 1 ? 'one job runs' : `${value} jobs run`;
    this.#view.badge = value > 0 ? { value, tooltip } : undefined;
  }
}

const icon = (name: string, color?: string) => new ThemeIcon(name, color ? new ThemeColor(color) : undefined);
/** It does not turn: a job takes hours, and what turns is drawn all the while. */
const AT_WORK = icon('sync', 'progressBar.background');

function runItem(node: RunNode): TreeItem {
  const item = new TreeItem(node.row.name, TreeItemCollapsibleState.Collapsed);
  item.id = node.row.folder;
  item.description = runDescription(node, Date.now());
  const tooltip = new MarkdownString();
  for (const line of runFigures(node))
    tooltip.appendMarkdown(line.startsWith('**') ? line : plain(line)).appendMarkdown('\n\n');
  item.tooltip = tooltip;
  item.contextValue = runContext(node);
  item.iconPath = runIcon(node);
  item.accessibilityInformation = { label: `${node.row.name}, ${item.description}` };
  return item;
}

const plain = (text: string) => text.replaceAll(/[\\`*_{}[\]()#+!<>|]/g, '\\$&');

function jobItem({ job }: JobNode): TreeItem {
  const item = new TreeItem(job.title);
  item.id = job.id;
  item.description = progressLine(job);
  item.contextValue = jobContext(job);
  item.iconPath = AT_WORK;
  item.tooltip = job.run;
  return item;
}

function runIcon(node: RunNode): ThemeIcon {
  if (runIsActive(node)) return AT_WORK;
  switch (node.row.status) {
    case 'finished':
      return icon('pass-filled', 'testing.iconPassed');
    case 'failed':
      return icon('error', 'testing.iconFailed');
    case 'running':
      return AT_WORK;
    default:
      return icon('debug-pause', 'testing.iconSkipped');
  }
}

function stageItem({ run, name, status, detail }: StageNode): TreeItem {
  const item = new TreeItem(name);
  item.id = `${run}#${name}`;
  item.description = detail || status;
  item.contextValue = 'stage';
  item.iconPath =
    status === 'running'
      ? AT_WORK
      : status === 'finished' || status === 'kept'
        ? icon('check', 'testing.iconPassed')
        : icon(status === 'begun' ? 'debug-pause' : 'circle-outline');
  return item;
}

function fileItem({ name, file }: FileNode): TreeItem {
  const item = new TreeItem(name);
  item.id = file;
  item.resourceUri = Uri.file(file);
  item.iconPath = ThemeIcon.File;
  item.contextValue = 'file';
  item.command = { title: 'Open', command: 'vscode.open', arguments: [Uri.file(file)] };
  return item;
}

function brokenItem({ folder, problem }: BrokenNode): TreeItem {
  const item = new TreeItem(folder.split(/[\\/]/).at(-1) ?? folder);
  item.id = folder;
  item.description = problem;
  item.tooltip = `${folder}: ${problem}`;
  item.contextValue = 'broken';
  item.iconPath = icon('warning', 'problemsWarningIcon.foreground');
  return item;
}
