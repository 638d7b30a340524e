import { type Disposable, type QuickPickItem, QuickPickItemKind, Uri, window } from 'vscode';
import {
  type FlipRow,
  flips,
  patches as listPatches,
  list as listRuns,
  openFlip,
  type RunRow,
} from '../../server/protocol/runs.ts';
import { searchFolders } from '../config.ts';
import { setContext } from '../context.ts';
import { brief, failed } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { NotHere } from './annotations.ts';
import { flipTitle, inOrder, kinds, kindWords } from './flip-rows.ts';
import type { OutputDiffs } from './output-diffs.ts';
import { goTo } from './pivot-steps.ts';
import { withProgress } from './progress.ts';
import type { TraceEditors } from './trace-editors.ts';

const icons = { 'wrong-to-right': '$(pass)', 'right-to-wrong': '$(error)' } as const;

/** A run's flips, in the order in which they are listed and stepped through. */
interface Walk {
  folder: string;
  rows: FlipRow[];
  at: number;
}

/** Problems whose answer changed: listed, opened with their diff, stepped through. */
export class Flips implements Disposable {
  readonly #server: Server;
  readonly #editors: TraceEditors;
  readonly #diffs: OutputDiffs;
  #walk: Walk | null = null;

  constructor(server: Server, editors: TraceEditors, diffs: OutputDiffs) {
    this.#server = server;
    this.#editors = editors;
    this.#diffs = diffs;
  }

  /** @param given a run's folder, or anything that has one: a row of the Runs view */
  async show(given?: unknown): Promise<FlipRow[]> {
    const folder = folderOf(given) ?? (await this.#chooseRun());
    if (folder === null) return [];
    const walk = await this.#load(folder);
    if (walk.rows.length === 0) {
      brief('No answer changed in this run.');
      return [];
    }
    const picker = window.createQuickPick<QuickPickItem & { at?: number }>();
    const counts = kinds.map((kind) => `${count(walk.rows, kind)} ${kindWords[kind].toLowerCase()}`);
    picker.title = `Flips: ${counts.join(', ')}`;
    picker.placeholder = 'Open a problem whose answer changed';
    picker.matchOnDescription = true;
    picker.ignoreFocusOut = true;
    picker.items = kinds.flatMap((kind) => {
      const rows = walk.rows.flatMap((row, at) => (row.kind === kind ? [{ row, at }] : []));
      const head = { label: `${kindWords[kind]} (${rows.length})`, kind: QuickPickItemKind.Separator };
      const items = rows.map(({ row, at }) => ({
        label: `${icons[kind]} ${flipTitle(row)}`,
        description: `${row.id} · ${row.set}`,
        at,
      }));
      return rows.length > 0 ? [head, ...items] : [];
    });
    picker.onDidAccept(() => {
      const at = picker.selectedItems[0]?.at;
      picker.hide();
      if (at !== undefined) this.#go(at).catch(failed('The flip'));
    });
    picker.onDidHide(() => picker.dispose());
    picker.show();
    return walk.rows;
  }

  /** Opens the first flip with its diff, of the run whose flips were last seen or else of the newest. */
  async first(): Promise<FlipRow> {
    const folder = this.#walk?.folder ?? (await this.#evaluated())[0]!.folder;
    const { rows } = await this.#load(folder);
    if (rows.length === 0) throw new NotHere('No answer changed in this run: open one of its traces.');
    return this.#go(0);
  }

  /** Opens one flip with its diff, from a list elsewhere. */
  async open(folder: string, row: FlipRow): Promise<FlipRow> {
    const walk = this.#walk?.folder === folder ? this.#walk : await this.#load(folder);
    const at = walk.rows.findIndex(({ set, id }) => set === row.set && id === row.id);
    if (at < 0) throw new NotHere(`${row.id} is not among the flips of ${folder}.`);
    return this.#go(at);
  }

  /** @param step 1 for the next, -1 for the one before; around the ends */
  async step(step: 1 | -1): Promise<FlipRow> {
    if (!this.#walk || this.#walk.rows.length === 0) throw new NotHere('Show the flips of a run first.');
    const { at, rows } = this.#walk;
    return this.#go(at < 0 && step < 0 ? rows.length - 1 : (at + step + rows.length) % rows.length);
  }

  async #load(folder: string): Promise<Walk> {
    const found = await this.#server.request(flips, { folder });
    const rows = inOrder(found);
    this.#walk = { folder, rows, at: -1 };
    setContext('circuitAmplifier.flips', rows.length > 0);
    return this.#walk;
  }

  async #go(at: number): Promise<FlipRow> {
    const walk = this.#walk!;
    walk.at = at;
    const row = walk.rows[at]!;
    const [{ file }, { patches }] = await Promise.all([
      withProgress('completing the problem with the base model', (token) =>
        this.#server.request(openFlip, { folder: walk.folder, flip: row }, { token }),
      ),
      this.#server.request(listPatches, { folders: [walk.folder] }),
    ]);
    // Steps may come faster than documents: only the last one is gone to.
    const passed = () => this.#walk !== walk || walk.at !== at;
    if (passed()) return row;
    const shown = await this.#editors.show(Uri.file(file));
    if (!shown) throw new NotHere(`${file} is no trace document.`);
    setContext('circuitAmplifier.flipOpened', true);
    brief(`Flip ${at + 1} of ${walk.rows.length}: ${row.id}, ${flipTitle(row)}`);
    const patch = patches.find(({ run }) => run === walk.folder) ?? patches[0];
    if (patch && !passed()) {
      const { diff } = await this.#diffs.show(shown.trace, null, [{ file: patch.file, scale: 1 }]);
      const at = diff.firstDivergenceAt;
      if (at) goTo(shown.editor, { range: { start: at, end: at } });
    }
    return row;
  }

  /** Runs that have flips, newest first. */
  async #evaluated(): Promise<RunRow[]> {
    const { runs } = await this.#server.request(listRuns, { folders: searchFolders() });
    const done = runs.filter(({ files }) => files.report !== null);
    if (done.length === 0) throw new NotHere('No run has been evaluated yet.');
    return done;
  }

  async #chooseRun(): Promise<string | null> {
    const here = await this.#editors.active?.trace.current();
    const done = await this.#evaluated();
    if (done.length === 1) return done[0]!.folder;
    const own = done.find(({ folder }) => folder === here?.run);
    const items = done.map((run) => ({
      label: run.name,
      description: run === own ? 'of this trace' : run.created,
      detail: run.folder,
      folder: run.folder,
    }));
    if (own) items.unshift(...items.splice(done.indexOf(own), 1));
    const picked = await window.showQuickPick(items, {
      title: 'Flips of which run?',
      matchOnDetail: true,
      ignoreFocusOut: true,
    });
    return picked?.folder ?? null;
  }

  dispose(): void {
    setContext('circuitAmplifier.flips', false);
  }
}

const count = (rows: readonly FlipRow[], kind: FlipRow['kind']) =>
  rows.filter((row) => row.kind === kind).length;

function folderOf(given: unknown): string | null {
  if (typeof given === 'string') return given;
  if (typeof given !== 'object' || given === null) return null;
  if ('folder' in given && typeof given.folder === 'string') return given.folder;
  if ('row' in given) return folderOf(given.row);
  return 'run' in given ? folderOf(given.run) : null;
}
