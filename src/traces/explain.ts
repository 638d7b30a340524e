import { EventEmitter, QuickInputButtons, type QuickPickItem, Uri, window } from 'vscode';
import { type Purpose, purpose } from '../../server/protocol/circuit.ts';
import type { PatchRef } from '../../server/protocol/message.ts';
import { attribution, open as openTrace } from '../../server/protocol/traces.ts';
import type { Server } from '../server/server.ts';
import { type Annotations, NotHere, type Place, type Target } from './annotations.ts';
import { goTo, openAt } from './pivot-steps.ts';
import { withProgress } from './progress.ts';
import type { TraceEditors } from './trace-editors.ts';

/** Pivots and components that are offered. */
const PIVOTS = 20;
const COMPONENTS = 40;

/** A component that the circuit panel is asked to show. */
export interface Reveal {
  run: string;
  component: number;
}

/** Two tokens between which the model chose: a pivot, or where two outputs part. */
interface Choice {
  token: number;
  range: { start: { line: number; character: number }; end: { line: number; character: number } };
  label: string;
  note: string;
  /** Null for a pivot, whose desired token the document has. */
  desired: number | null;
  patches: PatchRef[];
}

/** What was chosen of a component: a pair's trace, or itself. */
interface Found {
  trace: string | null;
  /** The pair's pivot in it. */
  token: number;
}

type Item<T> = QuickPickItem & { value: T };
const back = Symbol('back');

/** From a token to the choices near it, the components behind one, their weight rows and the pairs that they serve; and back. */
export class Explain {
  readonly #server: Server;
  readonly #editors: TraceEditors;
  readonly #annotations: Annotations;
  readonly #patches: () => readonly PatchRef[];
  readonly #reveal = new EventEmitter<Reveal>();
  readonly onReveal = this.#reveal.event;

  constructor(
    server: Server,
    editors: TraceEditors,
    annotations: Annotations,
    patches: () => readonly PatchRef[],
  ) {
    this.#server = server;
    this.#editors = editors;
    this.#annotations = annotations;
    this.#patches = patches;
  }

  async start(target?: Target): Promise<void> {
    const place = await this.#annotations.place(target);
    const choices = this.#choices(place);
    if (choices.length === 0) {
      throw new NotHere('There is no pivot here and no diff is shown: mark a pivot, or show a diff.');
    }
    for (;;) {
      const choice =
        choices.length === 1
          ? choices[0]!
          : await pick('Where did the model choose?', choices.map(choiceItem));
      if (!choice || choice === back) return;
      if (place.trace === this.#editors.active?.trace) goTo(this.#editors.active.editor, choice);
      if ((await this.#components(place, choice, choices.length > 1)) !== back) return;
    }
  }

  /** Nearest first; the shown diff's first divergence is one of them. */
  #choices({ trace, view, token }: Place): Choice[] {
    const pivots = view.pivots.map(
      ({ token, range, undesired, desired, status }): Choice => ({
        token,
        range,
        label: `${JSON.stringify(undesired.text)} → ${JSON.stringify(desired.text)}`,
        note: `pivot, ${status}`,
        desired: null,
        patches: [...this.#patches()],
      }),
    );
    const shown = trace.diff;
    const parting = shown?.diff.divergence;
    const at = shown?.diff.firstDivergenceAt;
    if (shown && parting && at && !pivots.some((pivot) => pivot.token === parting.token)) {
      pivots.push({
        token: parting.token,
        range: { start: at, end: at },
        label: `${JSON.stringify(parting.from.text)} → ${JSON.stringify(parting.to.text)}`,
        note: 'where the outputs part',
        desired: parting.to.id,
        patches: shown.from ?? [],
      });
    }
    const from = token ?? 0;
    return pivots.sort((a, b) => Math.abs(a.token - from) - Math.abs(b.token - from)).slice(0, PIVOTS);
  }

  async #components({ trace, view }: Place, choice: Choice, canGoBack: boolean): Promise<typeof back | null> {
    const { token, desired, patches } = choice;
    const found = await withProgress(`components behind ${choice.label}`, (cancel) =>
      this.#server.request(
        attribution,
        { ...trace.of, token, patches, components: true, ...(desired === null ? {} : { desired }) },
        { token: cancel },
      ),
    );
    const strongest = (found.components ?? [])
      .toSorted((a, b) => Math.abs(b.gradient) - Math.abs(a.gradient))
      .slice(0, COMPONENTS);
    const title = `${choice.label}: logit difference ${found.margin.toFixed(2)}`;
    for (;;) {
      const component = await pick(
        title,
        strongest.map(({ component, label, gradient }) => ({
          label: `$(${gradient < 0 ? 'arrow-up' : 'arrow-down'}) ${label}`,
          description: `${gradient < 0 ? 'helps' : 'hinders'} · gradient ${gradient.toPrecision(3)}`,
          value: component,
        })),
        canGoBack,
      );
      if (component === back || component === null) return component;
      if (view.run === null) throw new NotHere('The trace names no run whose circuit could be shown.');
      const known = await this.#server.request(purpose, { run: view.run, component });
      if ((await this.#rows(view.run, known)) !== back) return null;
    }
  }

  async #rows(run: string, known: Purpose): Promise<typeof back | null> {
    const nothing: Found = { trace: null, token: 0 };
    const panel: Item<Found> = {
      label: '$(type-hierarchy) Show it in the circuit panel',
      value: nothing,
    };
    const rows = known.rows.map(({ tensor, first, last, norm, change }) => ({
      label: `$(table) ${tensor}`,
      description: first === last ? `row ${first}` : `rows ${first} to ${last}`,
      detail: `norm ${norm.toPrecision(3)}${change === null ? '' : `, changed by ${(100 * change).toPrecision(2)} %`}`,
      value: nothing,
    }));
    const served = (known.served ?? []).flatMap(({ problem, desired, undesired, gradient, trace, token }) =>
      trace === null
        ? []
        : {
            label: `$(file) ${problem}: ${JSON.stringify(undesired)} → ${JSON.stringify(desired)}`,
            description: `pair that it serves · gradient ${gradient.toPrecision(3)}`,
            value: { trace, token },
          },
    );
    const pairs = known.served
      ? 'the pairs that it serves'
      : 'no pairs: their attribution is not computed yet';
    const title = `${known.label}: its weight rows and ${pairs}`;
    const found = await pick<Found>(title, [panel, ...rows, ...served], true);
    if (found === back || found === null) return found;
    if (found.trace === null) this.#reveal.fire({ run, component: known.component });
    else {
      const { file } = await this.#server.request(openTrace, { run, trace: found.trace });
      await openAt(this.#editors, Uri.file(file), found.token);
    }
    return null;
  }

  dispose(): void {
    this.#reveal.dispose();
  }
}

const choiceItem = (choice: Choice): Item<Choice> => ({
  label: choice.label,
  description: `${choice.note} · token ${choice.token}`,
  value: choice,
});

/** @returns null where it was given up */
function pick<T>(title: string, items: Item<T>[], canGoBack = false): Promise<T | typeof back | null> {
  const picker = window.createQuickPick<Item<T>>();
  picker.title = title;
  picker.items = items;
  picker.matchOnDescription = true;
  picker.buttons = canGoBack ? [QuickInputButtons.Back] : [];
  return new Promise((resolve) => {
    const end = (value: T | typeof back | null) => {
      resolve(value);
      picker.hide();
    };
    picker.onDidAccept(() => end(picker.selectedItems[0]?.value ?? null));
    picker.onDidTriggerButton(() => end(back));
    picker.onDidHide(() => {
      resolve(null);
      picker.dispose();
    });
    picker.show();
  });
}
