import path from 'node:path';
import {
  type Disposable,
  EventEmitter,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCheckboxState,
  type TreeView,
  window,
} from 'vscode';
import * as runs from '../../server/protocol/runs.ts';
import { onSearchFolders, searchFolders } from '../config.ts';
import { views } from '../contributions.ts';
import { count } from '../format.ts';
import { messageOf } from '../notify.ts';
import type { ActivePatches } from '../patches/active.ts';
import { put, take } from '../patches/stack.ts';
import type { Server } from '../server/server.ts';
import { Batched } from './batched.ts';
import { touches } from './changes.ts';

const SETTLE_MS = 500;

export interface PatchNode {
  kind: 'patch';
  file: string;
  /** Null for an active patch whose file is gone. */
  row: runs.PatchRow | null;
  /** Place in the stack from 0, and its length; null for one that is off. */
  place: { index: number; of: number; scale: number } | null;
}

interface BrokenNode {
  kind: 'broken';
  file: string;
  problem: string;
}

type Node = PatchNode | BrokenNode;

type PatchList = { patches: runs.PatchRow[]; broken: { file: string; problem: string }[] };

/** Patches of the workspace: ticked ones first, in the order in which they are applied. */
export class PatchesView implements TreeDataProvider<Node>, Disposable {
  readonly #server: Server;
  readonly #active: ActivePatches;
  readonly #changed = new EventEmitter<undefined>();
  readonly #view: TreeView<Node>;
  readonly #subscriptions: Disposable[];
  #list: Promise<PatchList> | null = null;

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(server: Server, active: ActivePatches) {
    this.#server = server;
    this.#active = active;
    this.#view = window.createTreeView(views.patches, {
      treeDataProvider: this,
      manageCheckboxStateManually: true,
    });
    const stale = new Batched<null>(SETTLE_MS, () => this.refresh());
    this.#subscriptions = [
      this.#view,
      stale,
      server.onNotification(runs.changed, ({ files }) => {
        if (touches(files, /\.safetensors$/, /^manifest\.json$/)) stale.add(null);
      }),
      server.onRestart(() => stale.add(null)),
      onSearchFolders(() => stale.add(null)),
      active.onChange(() => this.#changed.fire(undefined)),
      this.#view.onDidChangeCheckboxState(({ items }) => {
        active.update((stack) =>
          items.reduce(
            (next, [node, state]) =>
              state === TreeItemCheckboxState.Checked ? put(next, node.file) : take(next, node.file),
            stack,
          ),
        );
      }),
    ];
  }

  refresh(): void {
    this.#list = null;
    this.#changed.fire(undefined);
  }

  /** Patches of the workspace, active ones first. */
  async nodes(): Promise<PatchNode[]> {
    const { patches } = await this.#read();
    const { stack } = this.#active;
    const rows = new Map(patches.map((row) => [row.file, row]));
    const on = stack.map(({ file, scale }, index): PatchNode => {
      const place = { index, of: stack.length, scale };
      return { kind: 'patch', file, row: rows.get(file) ?? null, place };
    });
    const off = patches.filter(({ file }) => !stack.some((patch) => patch.file === file));
    return [...on, ...off.map((row): PatchNode => ({ kind: 'patch', file: row.file, row, place: null }))];
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (node) return [];
    try {
      const nodes = await this.nodes();
      const { broken } = await this.#read();
      this.#view.message = '';
      return [...nodes, ...broken.map((item): BrokenNode => ({ kind: 'broken', ...item }))];
    } catch (reason) {
      this.#view.message = messageOf(reason);
      return [];
    }
  }

  getTreeItem(node: Node): TreeItem {
    return node.kind === 'patch' ? patchItem(node) : brokenItem(node);
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #read(): Promise<PatchList> {
    this.#list ??= this.#server.request(runs.patches, { folders: searchFolders() });
    this.#list.catch(() => {
      this.#list = null;
    });
    return this.#list;
  }
}

export const patchName = ({ file, row }: PatchNode): string => row?.name ?? path.basename(path.dirname(file));

function patchItem(node: PatchNode): TreeItem {
  const { file, row, place } = node;
  const item = new TreeItem(patchName(node));
  item.id = file;
  const figures = row ? `${count(row.rows)} rows · ${count(row.weights)} weights` : 'the file is gone';
  const scale = place && `${place.index + 1}. × ${Number(place.scale.toFixed(3))}`;
  item.description = [scale, figures].filter(Boolean).join(' · ');
  item.tooltip = [
    file,
    row?.model && `Model: ${row.model}`,
    row && `${row.matrices} matrices, ${row.created}`,
  ]
    .filter(Boolean)
    .join('\n');
  item.checkboxState = {
    state: place ? TreeItemCheckboxState.Checked : TreeItemCheckboxState.Unchecked,
    tooltip: place ? 'Overlays and diffs use it' : 'Use it in overlays and diffs',
  };
  const up = place && place.index > 0 && 'up';
  const down = place && place.index < place.of - 1 && 'down';
  item.contextValue = ['patch', place ? 'active' : 'off', up, down].filter(Boolean).join(' ');
  if (!row) item.iconPath = new ThemeIcon('warning', new ThemeColor('problemsWarningIcon.foreground'));
  return item;
}

function brokenItem({ file, problem }: BrokenNode): TreeItem {
  const item = new TreeItem(path.basename(file));
  item.id = `broken:${file}`;
  item.description = problem;
  item.tooltip = `${file}: ${problem}`;
  item.contextValue = 'broken';
  item.iconPath = new ThemeIcon('warning', new ThemeColor('problemsWarningIcon.foreground'));
  return item;
}
