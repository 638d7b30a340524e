import { h, setText, show } from '../dom.ts';
import { isActive } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { button } from '../toolkit.ts';
import { jobWords } from './training.ts';

/** Progress is told at most this often to screen readers, milliseconds. */
const TOLD = 15_000;

/** What the host has to say, and the announcements that only screen readers get. */
export function noticesView(store: Store): HTMLElement {
  const text = h('span', {});
  const close = button('Dismiss', () => store.dispatch({ type: 'notice', notice: null }));
  const notice = h('div', { class: 'notice' }, text, close);
  const error = h('div', { role: 'alert', class: 'sr-only' });
  const info = h('div', { role: 'status', class: 'sr-only' });
  store.watch(
    ({ notice: now }) => [now],
    (now) => {
      show(notice, now !== null);
      notice.classList.toggle('error', now?.level === 'error');
      setText(text, now?.text ?? '');
      setText(error, now?.level === 'error' ? now.text : '');
      setText(info, now?.level === 'info' ? now.text : '');
    },
  );
  let told = { words: '', time: 0, state: '' };
  store.watch(
    ({ job }) => [job],
    (job) => {
      if (!job) return;
      const now = Date.now();
      const turned = `${job.state} ${job.stage}` !== told.state;
      if (!turned && (!isActive(job) || now - told.time < TOLD)) return;
      told = { words: jobWords(job), time: now, state: `${job.state} ${job.stage}` };
      setText(info, told.words);
    },
  );
  // Selections made by buttons and sliders: their result is far from the control.
  let timer = 0;
  store.watch(
    ({ selection }) => [selection.present.count],
    (count) => {
      clearTimeout(timer);
      if (store.state.selection.past.length === 0) return;
      timer = window.setTimeout(() => setText(info, `${count} components selected`), 700);
    },
  );
  return h('div', { class: 'notices' }, notice, error, info);
}
