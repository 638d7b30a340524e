/**
 * `npm run bench:panel`: how fast the circuit panel is with a model of 40 layers x 64 heads and 40 x 14,336 neurons. The
 * built page runs in Chromium under the webview's policy, in windows that have come to rest.
 *
 *     npm run bench:panel -- [--repeats N]
 *
 * Open: from the page's navigation to the frame that shows the grid, message included. A selection's answer: from the
 * event to the frame that shows it. Figures are median [2.5 %, 97.5 %] of the samples, in milliseconds; the bars are
 * judged by the median. Exit code 1 where one is missed.
 */
import { parseArgs } from 'node:util';
import { launchBrowser } from '../vscode/chromium.ts';
import { circuitMessage, largeView } from '../webview/data.ts';
import { openPanel, type Panel } from '../webview/page.ts';

const OPEN_BAR = 1000;
const ANSWER_BAR = 50;
/** No selection: told, not judged. */
const LAYER = 'open a layer';

const { values } = parseArgs({ options: { repeats: { type: 'string', default: '20' } } });
const repeats = Number(values.repeats);
if (!(repeats >= 1)) throw new Error('--repeats is a count');

/** Runs `act` in the page; the time until the frame after it has been drawn. */
const timed = (panel: Panel, act: string): Promise<number> =>
  panel.page.evaluate(`new Promise((done) => {
    const channel = new MessageChannel();
    const start = performance.now();
    channel.port1.onmessage = () => done(performance.now() - start);
    ${act};
    requestAnimationFrame(() => channel.port2.postMessage(null));
  })`);

const key = (name: string, more = '') =>
  `document.querySelector('[role=gridcell]').dispatchEvent(new KeyboardEvent('keydown', { key: '${name}', bubbles: true, ${more} }))`;
const slide = (to: number) => `{
  const slider = document.querySelector('#selection input[type=range]');
  slider.value = '${to}';
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}`;
const fill = (text: string) => `{
  const field = [...document.querySelectorAll('vscode-text-field')].find((f) => f.textContent === 'Top k');
  field.value = '${text}';
  field.dispatchEvent(new Event('change'));
}`;
const press = (label: string) =>
  `[...document.querySelectorAll('vscode-button')].find((b) => b.textContent === '${label}').click()`;

function line(name: string, samples: number[], bar: number | null): boolean {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  const met = bar === null || at(0.5) <= bar;
  const verdict = bar === null ? '' : `  bar ${bar}  ${met ? 'met' : 'MISSED'}`;
  const figures = `${at(0.5).toFixed(1)} [${at(0.025).toFixed(1)}, ${at(0.975).toFixed(1)}]`;
  console.log(`${name.padEnd(44)}${figures.padStart(24)}  n ${samples.length}${verdict}`);
  return met;
}

const message = circuitMessage(largeView());
const browser = await launchBrowser();
const met: boolean[] = [];
try {
  console.log(
    `Chromium ${browser.version()}, ${message.view.shape.layers} layers, 581,120 components; milliseconds`,
  );
  const opens: number[] = [];
  const answers = new Map<string, number[]>();
  const sample = (name: string, ms: number) => answers.set(name, [...(answers.get(name) ?? []), ms]);
  for (let i = 0; i < repeats; i++) {
    const panel = await openPanel(browser, { answer: message, rest: 2000 });
    opens.push(await panel.shown());
    for (const to of [900, 600, 300, 700]) sample('threshold', await timed(panel, slide(to)));
    for (let k = 0; k < 4; k++) {
      sample('move to a cell', await timed(panel, key('ArrowRight')));
      sample('select a cell', await timed(panel, key(' ')));
      sample('select a range', await timed(panel, key('ArrowDown', 'shiftKey: true')));
    }
    sample('select all that is shown', await timed(panel, key('a', 'ctrlKey: true')));
    // Ranks all components where that has not been done yet.
    sample('top k', await timed(panel, fill('5000')));
    sample('invert', await timed(panel, press('Invert')));
    sample('undo', await timed(panel, press('Undo')));
    sample(LAYER, await timed(panel, key('Enter')));
    for (let k = 0; k < 4; k++) sample('select in a layer', await timed(panel, key(' ')));
    await panel.page.context().close();
  }
  met.push(line('open', opens, OPEN_BAR));
  for (const [name, samples] of answers) met.push(line(name, samples, name === LAYER ? null : ANSWER_BAR));
} finally {
  await browser.close();
}
process.exitCode = met.every(Boolean) ? 0 : 1;
