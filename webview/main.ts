import { checkToPanel } from '../server/protocol/panel-schema.ts';
import { h } from './dom.ts';
import { connect, type Host } from './host.ts';
import { freeze, readKept } from './state/kept.ts';
import { createStore, type Store } from './state/store.ts';
import { watchTheme } from './theme.ts';
import { registerControls } from './toolkit.ts';
import { curvesView } from './views/curves.ts';
import { gridView } from './views/grid.ts';
import { headerView } from './views/header.ts';
import { inspectorView } from './views/inspector.ts';
import { noticesView } from './views/notices.ts';
import { pivotView } from './views/pivot.ts';
import { reportView } from './views/report.ts';
import { selectionView } from './views/selection.ts';
import { trainingView } from './views/training.ts';

/** What is shown is kept this long after its last change, milliseconds. */
const KEEP_AFTER = 300;

function receive(store: Store, host: Host): void {
  let kept = readKept(host.kept());
  window.addEventListener('message', (event: MessageEvent<unknown>) => {
    const checked = checkToPanel(event.data);
    if ('fault' in checked) {
      host.post({ type: 'failed', message: `The circuit panel ignored ${checked.fault}` });
      return;
    }
    try {
      store.dispatch({ type: 'received', message: checked.message });
      if (checked.message.type === 'circuit' && kept) {
        store.dispatch({ type: 'restored', kept });
        kept = null;
      }
    } catch (error) {
      // Values that do not fit the model's shape.
      host.post({ type: 'failed', message: `The circuit panel: ${(error as Error).message}` });
    }
  });
}

function keep(store: Store, host: Host): void {
  let timer = 0;
  store.watch(
    ({ circuit, lens, zoom, focus, selection, choices }) => [circuit, lens, zoom, focus, selection, choices],
    () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        const state = freeze(store.state);
        if (state) host.keep(state);
      }, KEEP_AFTER);
    },
  );
}

/** Undo and redo of the selection, wherever the focus is but in a text field. */
function undoKeys(store: Store): void {
  window.addEventListener('keydown', (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    const inText = event
      .composedPath()
      .some((node) => node instanceof HTMLInputElement && node.type === 'text');
    if (inText || (key !== 'z' && key !== 'y')) return;
    event.preventDefault();
    store.dispatch({ type: key === 'y' || event.shiftKey ? 'redo' : 'undo' });
  });
}

function start(): void {
  const host = connect();
  registerControls();
  const store = createStore((flush) => requestAnimationFrame(flush));
  receive(store, host);
  const main = h(
    'main',
    {},
    headerView(store, host),
    gridView(store),
    noticesView(store),
    h(
      'div',
      { class: 'columns' },
      selectionView(store, host),
      inspectorView(store, host),
      h('div', { class: 'stack' }, trainingView(store, host), pivotView(store)),
    ),
    h('div', { class: 'columns results' }, curvesView(store), reportView(store, host)),
  );
  document.body.append(main);
  watchTheme();
  undoKeys(store);
  keep(store, host);
  window.addEventListener('error', (event) => host.post({ type: 'failed', message: event.message }));
  host.post({ type: 'ready' });
}

start();
