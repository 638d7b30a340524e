import {
  CancellationError,
  EventEmitter,
  QuickInputButtons,
  type QuickPickItem,
  QuickPickItemKind,
  Uri,
  window,
} from 'vscode';
import {
  attribute,
  type Purpose,
  purpose,
  type RelatedPairs,
  relatedPairs,
  type TrainingPair,
} from '../../server/protocol/circuit.ts';
import type { PatchRef } from '../../server/protocol/message.ts';
import {
  type Attribution,
  attribution,
  type DocumentView,
  open as openTrace,
} from '../../server/protocol/traces.ts';
import { log, messageOf } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { type Annotations, NotHere, type Place, type Target } from './annotations.ts';
import { goTo, openAt } from './pivot-steps.ts';
import { withProgress } from './progress.ts';
import type { TraceEditors } from './trace-editors.ts';

/** Pivots, components and training pivots of a kind that are offered. */
const PIVOTS = 20;
const COMPONENTS = 40;
const RELATED = 12;

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

type Components = NonNullable<Attribution['components']>;

/** Where a token leads: to a component, to a training pivot, or to the work that tells which ones its components serve. */
type Next = { component: number } | { trace: string; token: number } | 'attribute';

/** Without a value it is a heading. */
type Item<T> = QuickPickItem & { value?: T };
const back = Symbol('back');

/**
 * From a token to the choices near it, the components behind one and the training pivots that belong to it, the components'
 * weight rows and the pairs that they serve; and back.
 */
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
    const { run } = view;
    let related = await this.#related(view, strongest);
    for (;;) {
      const components = componentItems(strongest);
      const pairs = related ? pairItems(view, token, related) : [];
      // A held-out problem has no pivots of its own: those that the training had are what one comes for.
      const items = desired === null ? [...components, ...pairs] : [...pairs, ...components];
      const next = await pick<Next>(title, items, canGoBack);
      if (next === back || next === null) return next;
      if (run === null) throw new NotHere('The trace names no run whose circuit could be shown.');
      if (next === 'attribute') {
        await this.#attribute(run);
        related = await this.#related(view, strongest);
      } else if ('trace' in next) {
        await this.#open(run, next.trace, next.token);
        return null;
      } else {
        const known = await this.#server.request(purpose, { run, component: next.component });
        if ((await this.#rows(run, known)) !== back) return null;
      }
    }
  }

  /** Null where the trace is of no run that is still there: its components are known all the same. */
  async #related({ run, template }: DocumentView, components: Components): Promise<RelatedPairs | null> {
    if (run === null) return null;
    const asked = components.map(({ component, gradient }) => ({ component, gradient }));
    try {
      return await this.#server.request(relatedPairs, { run, template, components: asked });
    } catch (error) {
      log().warn(`Training pivots: ${messageOf(error)}`);
      return null;
    }
  }

  /** Attribution of the run's pairs; kept with the run for the next time. Given up, the list is as it was. */
  async #attribute(run: string): Promise<void> {
    const work = withProgress('which training pivots the components serve', (token, tell) =>
      this.#server.request(
        attribute,
        { run },
        { token, onPart: ({ done, total }) => tell(`${done} of ${total} pairs`) },
      ),
    );
    await work.catch((reason: unknown) => {
      if (!(reason instanceof CancellationError)) throw reason;
    });
  }

  async #open(run: string, trace: string, token: number): Promise<void> {
    const { file } = await this.#server.request(openTrace, { run, trace });
    await openAt(this.#editors, Uri.file(file), token);
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
    else await this.#open(run, found.trace, found.token);
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

const heading = (label: string): Item<never> => ({ label, kind: QuickPickItemKind.Separator });

const componentItems = (components: Components): Item<Next>[] => [
  heading('components'),
  ...components.map(({ component, label, gradient }) => ({
    label: `$(${gradient < 0 ? 'arrow-up' : 'arrow-down'}) ${label}`,
    description: `${gradient < 0 ? 'helps' : 'hinders'} · gradient ${gradient.toPrecision(3)}`,
    value: { component },
  })),
];

/** The training pivots that belong to a token; the token itself, where it is one of them, is not told. */
function pairItems({ problem, template }: DocumentView, token: number, related: RelatedPairs): Item<Next>[] {
  const items = <P extends TrainingPair>(pairs: readonly P[], note: (pair: P) => string) =>
    pairs
      .filter((pair) => pair.problem !== problem || pair.token !== token)
      .slice(0, RELATED)
      .flatMap((pair): Item<Next>[] => {
        const { trace, token: at, undesired, desired } = pair;
        const label = `$(file) ${pair.problem}: ${JSON.stringify(undesired)} → ${JSON.stringify(desired)}`;
        return trace === null ? [] : [{ label, description: note(pair), value: { trace, token: at } }];
      });
  const same = related.template ? items(related.template.pairs, () => `pair of ${template}`) : [];
  const count = related.template?.count ?? 0;
  const served =
    related.served === null
      ? [
          {
            label: '$(play) Find the training pivots that these components serve most',
            description: 'attribution of the run’s pairs, computed once',
            value: 'attribute' as const,
          },
        ]
      : items(related.served, ({ agreement }) => `served too · agreement ${agreement.toPrecision(3)}`);
  return [
    ...(same.length > 0 ? [heading(`training pivots of its template ${template} (${count})`), ...same] : []),
    ...(served.length > 0 ? [heading('training pivots that its components serve most'), ...served] : []),
  ];
}

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
