import path from 'node:path';
import {
  type Disposable,
  EventEmitter,
  type Memento,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  window,
  workspace,
} from 'vscode';
import * as runs from '../../server/protocol/runs.ts';
import { list, type TraceRow } from '../../server/protocol/traces.ts';
import { setContext } from '../context.ts';
import { languageId, views } from '../contributions.ts';
import { count } from '../format.ts';
import { messageOf } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { Batched } from './batched.ts';
import type { Catalogue } from './catalogue.ts';
import { touches } from './changes.ts';
import {
  below,
  filterRows,
  type GroupNode,
  outcomeGroups,
  type TraceNode,
  traceDescription,
} from './trace-groups.ts';

const KEY = 'tracesFolder';
/** A running generation writes many traces: they are read anew at most this often (milliseconds). */
const SETTLE_MS = 1000;

type Node = GroupNode | TraceNode;

/** Traces of a run, or of a folder of documents, by outcome and template. Groups are made when they are opened. */
export class TracesView implements TreeDataProvider<Node>, Disposable {
  readonly #server: Server;
  readonly #catalogue: Catalogue;
  readonly #memento: Memento;
  readonly #changed = new EventEmitter<undefined>();
  readonly #view: TreeView<Node>;
  readonly #subscriptions: Disposable[];
  #folder: string | null;
  #rows: Promise<TraceRow[]> | null = null;
  /** What was last read, to ask for what has changed since. */
  #known: { folder: string; stamp: string; rows: TraceRow[] } | null = null;
  /** Something changed while the view was hidden. */
  #missed = false;
  #filter = '';

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(server: Server, catalogue: Catalogue, memento: Memento) {
    this.#server = server;
    this.#catalogue = catalogue;
    this.#memento = memento;
    this.#folder = memento.get<string | null>(KEY, null);
    setContext('circuitAmplifier.tracesShown', this.#folder !== null);
    this.#view = window.createTreeView(views.traces, { treeDataProvider: this, showCollapseAll: true });
    const stale = new Batched<null>(SETTLE_MS, () => this.#reread());
    this.#subscriptions = [
      this.#view,
      stale,
      server.onNotification(runs.changed, ({ folder, files }) => {
        if (this.#folder === null || !contains(folder, this.#folder)) return;
        if (touches(files, /^(?:traces|pairs)\.jsonl$/, /^documents$/)) stale.add(null);
      }),
      // What was annotated in a document.
      workspace.onDidSaveTextDocument(({ languageId: language, uri }) => {
        const shown = this.#folder !== null && contains(this.#folder, uri.fsPath);
        if (language === languageId && shown) stale.add(null);
      }),
      this.#view.onDidChangeVisibility(({ visible }) => {
        if (visible && this.#missed) this.#reread();
      }),
      server.onRestart(() => this.refresh()),
      // The newest run is shown once there is one.
      catalogue.onChange(() => {
        if (this.#folder === null) stale.add(null);
      }),
    ];
  }

  get folder(): string | null {
    return this.#folder;
  }

  get filter(): string {
    return this.#filter;
  }

  show(folder: string): void {
    this.#folder = folder;
    void this.#memento.update(KEY, folder);
    this.setFilter('');
    this.refresh();
  }

  setFilter(filter: string): void {
    this.#filter = filter.trim();
    setContext('circuitAmplifier.tracesFiltered', this.#filter !== '');
    this.#changed.fire(undefined);
  }

  refresh(): void {
    this.#known = null;
    this.#rows = null;
    this.#changed.fire(undefined);
  }

  /** Reads what has changed, and draws the view anew where something has; a view that is hidden waits until it is shown. */
  #reread(): void {
    this.#missed = !this.#view.visible;
    if (this.#missed || this.#rows === null) return;
    const before = this.#known;
    const next = this.#read();
    next.then(
      () => {
        if (this.#known?.rows === before?.rows) return;
        this.#rows = next;
        this.#changed.fire(undefined);
      },
      () => this.refresh(),
    );
  }

  /** All traces of the folder, read once. */
  rows(): Promise<TraceRow[]> {
    this.#rows ??= this.#read();
    this.#rows.catch(() => {
      this.#rows = null;
    });
    return this.#rows;
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node) return node.kind === 'trace' ? [] : below(node);
    try {
      const all = await this.rows();
      const rows = filterRows(all, this.#filter);
      this.#describe(all.length, rows.length);
      return outcomeGroups(rows);
    } catch (reason) {
      this.#view.message = messageOf(reason);
      return [];
    }
  }

  getTreeItem(node: Node): TreeItem {
    return node.kind === 'trace' ? traceItem(node) : groupItem(node);
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  async #read(): Promise<TraceRow[]> {
    this.#folder ??= await this.#newest();
    setContext('circuitAmplifier.tracesShown', this.#folder !== null);
    if (this.#folder === null) return [];
    const folder = this.#folder;
    const known = this.#known?.folder === folder ? this.#known : null;
    const answer = await this.#server.request(list, { folder, ...(known && { since: known.stamp }) });
    this.#view.message = answer.problems[0] ?? '';
    const { stamp, partial } = answer;
    const rows = known && partial ? merged(known.rows, answer.rows) : answer.rows;
    if (this.#folder === folder) this.#known = { folder, stamp, rows };
    return rows;
  }

  async #newest(): Promise<string | null> {
    const { runs: all } = await this.#catalogue.list();
    return all.find(({ files }) => files.traces !== null)?.folder ?? null;
  }

  #describe(all: number, shown: number): void {
    const name = this.#folder === null ? '' : path.basename(this.#folder);
    const size = all === shown ? count(all) : `${count(shown)} of ${count(all)}: ${this.#filter}`;
    this.#view.description = name && `${name} · ${size}`;
  }
}

/** Rows with those that have changed in their places, and new ones at the end; the same list where none has. */
function merged(rows: TraceRow[], changed: readonly TraceRow[]): TraceRow[] {
  if (changed.length === 0) return rows;
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const row of changed) byId.set(row.id, row);
  return [...byId.values()];
}

const contains = (outer: string, inner: string) => {
  const way = path.relative(outer, inner);
  return !way.startsWith('..') && !path.isAbsolute(way);
};

const icons: Record<GroupNode['outcome'], ThemeIcon> = {
  wrong: new ThemeIcon('close', new ThemeColor('testing.iconFailed')),
  truncated: new ThemeIcon('ellipsis', new ThemeColor('testing.iconFailed')),
  'no answer': new ThemeIcon('question', new ThemeColor('testing.iconFailed')),
  right: new ThemeIcon('check', new ThemeColor('testing.iconPassed')),
  'not scored': new ThemeIcon('circle-outline'),
};

function groupItem({ kind, id, label, outcome, rows }: GroupNode): TreeItem {
  const item = new TreeItem(label, TreeItemCollapsibleState.Collapsed);
  item.id = id;
  item.description = count(rows.length);
  item.contextValue = kind;
  if (kind === 'outcome') item.iconPath = icons[outcome];
  return item;
}

function traceItem(node: TraceNode): TreeItem {
  const { row } = node;
  const item = new TreeItem(row.id);
  item.id = `trace:${row.id}`;
  item.description = traceDescription(row);
  item.contextValue = 'trace';
  item.iconPath = new ThemeIcon(row.document === null ? 'circle-small' : 'note');
  item.command = { title: 'Open Trace', command: 'circuitAmplifier.openTrace', arguments: [node] };
  return item;
}
