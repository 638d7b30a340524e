import { type QuickPickItem, QuickPickItemKind, window } from 'vscode';
import type { Alternative, AnnotationEdit } from '../../server/protocol/traces.ts';
import { brief } from '../notify.ts';
import { type Annotations, NotHere, type Place, type Target } from './annotations.ts';
import { goTo } from './pivot-steps.ts';

/** Tokens to each side that a pivot can be moved to from a list. */
const NEARBY = 12;

const quoted = (text: string) => JSON.stringify(text);
const percent = (logprob: number) => `${(100 * Math.exp(logprob)).toPrecision(3)} %`;

/** A command: what it was given, or nothing; true where the document was changed. */
type Command = (target?: Target) => Promise<boolean>;

/** Commands that edit the annotations of a trace document. */
export function annotationCommands(annotations: Annotations) {
  const edit = async (place: Place, annotation: AnnotationEdit, done: string): Promise<boolean> => {
    const changed = await annotations.apply(place.trace, annotation);
    if (changed) brief(done);
    return changed;
  };

  const onPivot =
    (kind: 'accept' | 'reject' | 'remove' | 'swap', done: string): Command =>
    async (target) => {
      const place = await annotations.place(target);
      return edit(place, { edit: kind, token: pivotToken(place) }, done);
    };

  const moveBy =
    (step: number): Command =>
    async (target) => {
      const place = await annotations.place(target);
      const token = pivotToken(place);
      const to = token + step;
      const changed = await edit(place, { edit: 'move', token, to }, 'Pivot moved.');
      const moved = (await place.trace.current())?.pivots.find((pivot) => pivot.token === to);
      const editor = window.activeTextEditor;
      // The cursor goes along, so that the key can be pressed again.
      if (moved && editor?.document === place.trace.document) goTo(editor, moved);
      return changed;
    };

  const setDesired: Command = async (target) => {
    const place = await annotations.place(target);
    const { token, pivot } = place;
    if (token === null) throw new NotHere('Put the cursor on a token first.');
    const desired = target?.desired ?? (await chooseDesired(annotations, place));
    if (desired === null) return false;
    const annotation: AnnotationEdit = pivot
      ? { edit: 'desired', token, desired }
      : { edit: 'mark', token, desired };
    return edit(place, annotation, 'Desired token set.');
  };

  const move: Command = async (target) => {
    const place = await annotations.place(target);
    const token = pivotToken(place);
    const to = target?.to ?? (await chooseToken(annotations, place));
    return to !== null && edit(place, { edit: 'move', token, to }, 'Pivot moved.');
  };

  const mark: Command = async (target) => {
    const place = await annotations.place(target);
    if (place.pivot && target?.desired === undefined) {
      throw new NotHere('This token is a pivot already: set its desired token, accept or reject it.');
    }
    return setDesired(target);
  };

  const exclude: Command = async (target) => {
    const place = await annotations.place(target);
    const excluded = target?.excluded ?? !place.view.excluded;
    const done = excluded ? 'Trace excluded from training.' : 'Trace included in training.';
    return edit(place, { edit: 'exclude', excluded }, done);
  };

  return {
    accept: onPivot('accept', 'Pivot accepted.'),
    reject: onPivot('reject', 'Pivot rejected: it is not used for training.'),
    remove: onPivot('remove', 'Pivot removed.'),
    swap: onPivot('swap', 'Desired and undesired token swapped.'),
    moveLeft: moveBy(-1),
    moveRight: moveBy(1),
    move,
    setDesired,
    mark,
    exclude,
  };
}

function pivotToken({ pivot, token }: Place): number {
  if (pivot) return pivot.token;
  throw new NotHere(
    token === null
      ? 'Put the cursor on a pivot first.'
      : `Token ${token} is no pivot: mark it first, or go to the next pivot.`,
  );
}

interface TokenItem extends QuickPickItem {
  token?: number;
}

/** Picks a desired token: from the model's alternatives, or any other by its id. Null where it was given up. */
async function chooseDesired(
  annotations: Annotations,
  { trace, token, pivot }: Place,
): Promise<number | null> {
  const alternatives = await annotations.alternatives(trace, token!);
  const own = pivot?.undesired.id ?? trace.scores.tokens.find(({ index }) => index === token)?.id;
  const items = alternatives
    .filter(({ id }) => id !== own)
    .map((alternative) => itemOf(alternative, pivot?.desired.id));
  const picker = window.createQuickPick<TokenItem>();
  picker.title = pivot
    ? `Desired token in place of ${quoted(pivot.undesired.text)}`
    : 'Desired token in place of the one at the cursor';
  picker.placeholder =
    items.length > 0
      ? "Search the model's alternatives, or type a token id"
      : 'No alternatives are known yet: type a token id';
  picker.matchOnDescription = true;
  picker.items = items;
  picker.onDidChangeValue((value) => {
    const id = /^\s*#?(\d+)\s*$/.exec(value)?.[1];
    picker.items = id
      ? [...items, { label: `$(symbol-number) Token ${id}`, description: value, token: Number(id) }]
      : items;
  });
  return chosen(picker);
}

const itemOf = ({ id, text, logprob }: Alternative, current: number | undefined): TokenItem => ({
  label: quoted(text),
  description: `${percent(logprob)} · token ${id}${id === current ? ' · desired now' : ''}`,
  token: id,
});

async function chooseToken(annotations: Annotations, place: Place): Promise<number | null> {
  const from = place.pivot!.token;
  const nearby = await annotations.neighbours(place, NEARBY);
  const items: TokenItem[] = nearby
    .filter(({ index }) => index !== from)
    .map(({ index, text }) => ({
      label: quoted(text),
      description: `token ${index}, ${Math.abs(index - from)} ${index < from ? 'before' : 'after'}`,
      token: index,
    }));
  const divide = items.findIndex(({ token }) => token! > from);
  if (divide > 0) items.splice(divide, 0, { label: 'After', kind: QuickPickItemKind.Separator });
  const cursor = await annotations.atCursor(place);
  if (cursor && cursor.index !== from) {
    items.unshift({
      label: `$(arrow-right) The cursor: ${quoted(cursor.text)}`,
      description: `token ${cursor.index}`,
      token: cursor.index,
    });
  }
  const picker = window.createQuickPick<TokenItem>();
  picker.title = `Move the pivot ${quoted(place.pivot!.undesired.text)} to`;
  picker.placeholder = 'A token nearby';
  picker.items = items;
  const next = items.find(({ token }) => token === from + 1);
  if (next) picker.activeItems = [next];
  return chosen(picker);
}

function chosen(picker: ReturnType<typeof window.createQuickPick<TokenItem>>): Promise<number | null> {
  return new Promise((resolve) => {
    picker.onDidAccept(() => {
      resolve(picker.selectedItems[0]?.token ?? null);
      picker.hide();
    });
    picker.onDidHide(() => {
      resolve(null);
      picker.dispose();
    });
    picker.show();
  });
}
