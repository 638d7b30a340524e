import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, launchBrowser } from '../vscode/chromium.ts';
import { circuitMessage, demo, largeView, runningJob } from './data.ts';
import { openPanel, type Panel, type PanelOptions, themeNames } from './page.ts';

const root = path.resolve(import.meta.dirname, '../..');
const shots = path.join(root, 'out/screenshots');
const axe = readFileSync(path.join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');
const found = findChromium();
const missing =
  'needs Chromium or Chrome: install it (Debian: apt-get install chromium), or set CCA_CHROMIUM to its path';
const own = demo.view.selected;

describe.skipIf(found === null)(found ? 'the circuit panel' : `the circuit panel ${missing}`, () => {
  let browser: Browser;
  const opened: Panel[] = [];

  beforeAll(async () => {
    expect(existsSync(path.join(root, 'dist/panel.js')), 'npm run build comes first').toBe(true);
    browser = await launchBrowser();
    await mkdir(shots, { recursive: true });
  });
  // A page that shows progress is drawn all the time.
  afterEach(async () => {
    for (const { page } of opened) await page.context().close();
  });
  afterAll(async () => {
    await browser?.close();
    // No page may have been refused anything, nor have thrown.
    expect(opened.flatMap(({ complaints }) => complaints)).toEqual([]);
  });

  async function open(options: PanelOptions = {}, full = false): Promise<Panel> {
    const panel = await openPanel(browser, options);
    opened.push(panel);
    await panel.send(circuitMessage());
    if (full) {
      await panel.send({ type: 'job', job: runningJob });
      await panel.send({ type: 'steps', from: 0, steps: demo.steps });
      await panel.send({ type: 'report', report: demo.report });
      await panel.send(demo.pivot);
      await panel.send({ type: 'focus', component: own[3] });
      await panel.send({ type: 'purpose', purpose: demo.purposes[3] });
    }
    await panel.page.getByRole('gridcell').waitFor();
    await settle(panel.page);
    return panel;
  }

  /** Two frames: what was sent is drawn. */
  const settle = async (page: Page) => {
    for (let i = 0; i < 2; i++) await page.evaluate('new Promise((done) => requestAnimationFrame(done))');
  };
  const meter = (page: Page) => page.getByRole('meter', { name: 'Budget' });
  const selectedCount = async (page: Page) => {
    await settle(page);
    return Number(await meter(page).getAttribute('aria-valuenow'));
  };
  const press = async (page: Page, ...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
    await settle(page);
  };
  const cell = (page: Page) => page.getByRole('gridcell');
  const label = async (page: Page) => (await cell(page).getAttribute('aria-label')) ?? '';

  describe.each(themeNames)('in the theme %s', (theme) => {
    test('axe finds no violation, with everything shown', async () => {
      const { page } = await open({ theme }, true);
      await page.getByText('All steps as a table').click();
      await page.getByText('Matched controls (none)').click();
      await page.screenshot({ path: path.join(shots, `panel-${theme}.png`), fullPage: true });
      await page.locator('#pivot').screenshot({ path: path.join(shots, `panel-pivot-${theme}.png`) });
      expect(await violations(page)).toEqual([]);
    });

    test('the three sets of numbers look different', async () => {
      const { page } = await open({ theme });
      const images = [];
      for (const name of ['Mask', 'Attribution', 'Change']) {
        await page.getByRole('radio', { name }).check();
        await settle(page);
        images.push((await page.locator('canvas').screenshot()).toString('base64'));
      }
      expect(new Set(images).size).toBe(3);
    });
  });

  test.each([
    ['dark', 'hc-dark'],
    ['light', 'hc-light'],
  ] as const)(
    'forced colours, %s, keep cells, rings and bars, and axe is content',
    async (colorScheme, theme) => {
      const { page } = await open({ theme, forcedColors: 'active', colorScheme }, true);
      expect(await colours(page)).toBeGreaterThan(3);
      await page.screenshot({ path: path.join(shots, `panel-forced-${colorScheme}.png`), fullPage: true });
      expect(await violations(page)).toEqual([]);
    },
  );

  test.each([
    ['narrow', 320, 1],
    ['at 200 % zoom', 640, 2],
  ])('%s nothing is cut off sideways', async (name, width, deviceScaleFactor) => {
    const { page } = await open({ viewport: { width, height: 900 }, deviceScaleFactor }, true);
    await page.screenshot({
      path: path.join(shots, `panel-${name.replaceAll(/\W+/g, '-')}.png`),
      fullPage: true,
    });
    const wide = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
    expect(wide).toBeLessThanOrEqual(0);
    expect(await violations(page)).toEqual([]);
  });

  test.each(['no-preference', 'reduce'] as const)(
    'nothing moves while a job runs (motion: %s)',
    async (reducedMotion) => {
      const { page, send } = await open({ reducedMotion }, true);
      await send(demo.live[0]!);
      await page.getByText('Learning the mask').waitFor();
      // Of the library's controls too. What has just been shown may still be fading in.
      await expect
        .poll(() =>
          page.evaluate(`{
            const roots = [document];
            for (const root of roots)
              for (const { shadowRoot } of root.querySelectorAll('*')) if (shadowRoot) roots.push(shadowRoot);
            roots.flatMap((root) => root.getAnimations()).length;
          }`),
        )
        .toBe(0);
    },
  );

  test('by keyboard alone: move, look, select, range, undo, layer and back', async () => {
    const { page, sent } = await open();
    // The grid is reached with Tab: the segments, the layer, the cell.
    await press(page, 'Tab', 'Tab', 'Tab');
    await expect.poll(() => page.evaluate(`document.activeElement.getAttribute('role')`)).toBe('gridcell');
    await expect.poll(() => label(page)).toMatch(/^L3 Q0, score /);
    await press(page, 'ArrowRight', 'ArrowDown');
    await expect.poll(() => label(page)).toMatch(/^L2 Q1/);
    await press(page, '0');
    await expect.poll(() => label(page)).toMatch(/^L0 Q1/);
    await press(page, 'Space');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 1);
    await expect.poll(() => cell(page).getAttribute('aria-selected')).toBe('true');
    await press(page, 'Shift+ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowUp');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 6);
    await press(page, 'Shift+ArrowLeft', 'Shift+ArrowDown');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 2);
    await press(page, 'Control+z');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 1);
    await press(page, 'Control+Shift+Z');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 2);
    await press(page, 'End');
    await expect.poll(() => label(page)).toMatch(/^L0 neurons \d+ to 383/);
    await press(page, 'Enter');
    await page.getByRole('grid', { name: 'Components of layer 0' }).waitFor();
    await expect.poll(() => label(page)).toMatch(/^L0 neuron \d+/);
    await press(page, 'Home', 'Space', '2');
    await page.getByRole('grid', { name: 'Components of layer 2' }).waitFor();
    await expect.poll(() => selectedCount(page)).toBe(own.length + 3);
    await press(page, 'Escape');
    await page.getByRole('grid', { name: /all layers/ }).waitFor();
    await expect.poll(() => page.evaluate(`document.activeElement.getAttribute('role')`)).toBe('gridcell');
    await expect.poll(async () => (await sent('purpose')).length).toBeGreaterThan(0);
  });

  test('every control is reached by Tab, once, and shows it', async () => {
    const { page } = await open({}, true);
    await page.evaluate('document.activeElement.blur()');
    const names: string[] = [];
    for (let i = 0; i < 80; i++) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate(`(() => {
        const e = document.activeElement;
        if (e === document.body) return '';
        const box = e.getBoundingClientRect();
        if (box.width < 1 || box.height < 1) throw new Error('focus on something invisible: ' + e.outerHTML);
        return (e.getAttribute('aria-label') || e.textContent || e.value || e.tagName).trim().slice(0, 40);
      })()`);
      if (name === '') break;
      names.push(name as string);
    }
    for (const wanted of [
      'Threshold',
      'Top k',
      'Invert',
      'Save…',
      'Stop, keep best',
      'Cancel',
      'Step',
      'Open the report',
    ]) {
      expect(names).toContain(wanted);
    }
    expect(names.length).toBeLessThan(70);
  });

  test('pointer: click, drag, Shift+click, Alt+click, double click', async () => {
    const { page } = await open();
    const grid = (await page.getByRole('grid').boundingBox())!;
    /** In the middle of query head `column` of the row from the top; cells of the demo are 24 pixels wide and high. */
    const at = (row: number, column: number) =>
      [grid.x + 34 + 24 * column + 12, grid.y + 20 + 24 * row + 12] as const;
    await page.mouse.click(...at(0, 0));
    await expect.poll(() => selectedCount(page)).toBe(own.length + 1);
    await expect.poll(() => label(page)).toMatch(/^L3 Q0/);
    await page.mouse.click(...at(0, 0));
    await expect.poll(() => selectedCount(page)).toBe(own.length);
    await page.mouse.move(...at(0, 1));
    await page.mouse.down();
    await page.mouse.move(...at(2, 3), { steps: 4 });
    await page.mouse.up();
    await expect.poll(() => selectedCount(page)).toBe(own.length + 9);
    await page.getByRole('button', { name: 'Undo' }).click();
    await expect.poll(() => selectedCount(page)).toBe(own.length);
    await page.mouse.click(...at(1, 0));
    await page.keyboard.down('Shift');
    await page.mouse.click(...at(3, 0));
    await page.keyboard.up('Shift');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 3);
    await page.keyboard.down('Alt');
    await page.mouse.click(...at(1, 5));
    await page.keyboard.up('Alt');
    await expect.poll(() => selectedCount(page)).toBe(own.length + 3);
    await expect.poll(() => label(page)).toMatch(/^L2 Q5/);
    await page.mouse.dblclick(...at(1, 5));
    await page.getByRole('grid', { name: 'Components of layer 2' }).waitFor();
  });

  test('by value: threshold, top k, budget; invert, clear', async () => {
    const { page } = await open();
    await page.getByRole('textbox', { name: 'Top k' }).fill('25');
    await press(page, 'Enter', 'Tab');
    await expect.poll(() => selectedCount(page)).toBe(25);
    await page.getByRole('textbox', { name: 'Budget' }).fill('2 %');
    await press(page, 'Enter', 'Tab');
    await expect.poll(() => selectedCount(page)).toBe(32);
    await expect
      .poll(() => meter(page).getAttribute('aria-valuetext'))
      .toBe('32 components of 1,600, budget 16 exceeded');
    await page.getByRole('textbox', { name: 'Budget' }).fill('a lot');
    await press(page, 'Enter', 'Tab');
    await expect.poll(() => selectedCount(page)).toBe(32);
    await page.getByRole('slider', { name: 'Threshold' }).focus();
    await press(page, 'End');
    await expect.poll(() => selectedCount(page)).toBe(0);
    await press(page, 'Home');
    await expect.poll(() => selectedCount(page)).toBe(1600);
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('button', { name: 'Invert' }).click();
    await page.getByRole('button', { name: 'Clear' }).click();
    await expect.poll(() => selectedCount(page)).toBe(0);
    await page.getByRole('button', { name: "The run's circuit" }).click();
    await expect.poll(() => selectedCount(page)).toBe(own.length);
  });

  test('saved selections: load, compare, save, delete', async () => {
    const { page, sent, send } = await open();
    await page.getByRole('button', { name: 'Load' }).click();
    await expect.poll(() => selectedCount(page)).toBe(15);
    await page.getByRole('combobox', { name: 'Compare with' }).click();
    await page.getByRole('option', { name: "The run's own circuit" }).click();
    await page.getByText('12 in both').waitFor();
    await page.getByText('3 only here').waitFor();
    await page.getByText('4 only there').waitFor();
    await page.screenshot({ path: path.join(shots, 'panel-compare.png') });
    await page.getByRole('button', { name: 'Save…' }).click();
    expect((await sent('saveSelection'))[0]!.selected).toHaveLength(15);
    await page.getByRole('button', { name: 'Delete' }).click();
    await expect.poll(() => sent('removeSelection')).toEqual([{ type: 'removeSelection', name: 'by hand' }]);
    await send({ type: 'selections', selections: [] });
    await expect.poll(() => page.getByRole('button', { name: 'Load' }).isDisabled()).toBe(true);
  });

  test('what a component is for, and from there to a pair', async () => {
    const { page, sent } = await open({}, true);
    const { rows } = demo.purposes[3]!;
    const served = demo.purposes[3]!.served!;
    const pairs = page.getByRole('list', { name: /serves most/ }).getByRole('listitem');
    await expect.poll(() => pairs.count()).toBe(served.length);
    await page.getByRole('link', { name: new RegExp(`^Open ${served[0]!.problem}:`) }).click();
    const { pair, trace, token } = served[0]!;
    await expect.poll(() => sent('openPair')).toEqual([{ type: 'openPair', pair, trace, token }]);
    await page.getByRole('rowheader', { name: rows[0]!.tensor }).waitFor();
    const leaning = demo.pivot.pivot!.components[0]!.component;
    await page.locator('#pivot').getByRole('link').first().click();
    await expect
      .poll(async () => (await sent('purpose')).map(({ component }) => component))
      .toContain(leaning);
  });

  test('the tokens before a pivot: seen, walked by keys, read aloud, gone with the pivot', async () => {
    const { page, send } = await open({}, true);
    const { tokens, desired, undesired } = demo.pivot.pivot!;
    const strip = page.getByRole('listbox', { name: /Tokens before the pivot/ });
    await expect.poll(() => strip.getByRole('option').count()).toBe(tokens.length);
    const marked = tokens.flatMap(({ level }, i) => (level === 0 ? [] : [i]));
    expect(marked.length).toBeGreaterThan(2);
    const lines = await page.evaluate(
      `[...document.querySelectorAll('.strip [role=option]')].map((o) => getComputedStyle(o).textDecorationLine)`,
    );
    expect(lines).toEqual(
      tokens.map(({ level }) => (level === 0 ? 'none' : level > 0 ? 'underline' : 'overline')),
    );
    // One stop of Tab, on the strongest; the keys go on from there.
    const sizes = tokens.map(({ attribution }) => Math.abs(attribution));
    const strongest = sizes.indexOf(Math.max(...sizes));
    const here = () => page.evaluate(`document.activeElement.getAttribute('aria-label')`);
    await strip.locator('[tabindex="0"]').focus();
    await expect.poll(here).toContain(`token ${strongest}: `);
    await press(page, 'Home');
    await expect.poll(here).toContain('token 0: ');
    await press(page, 'ArrowRight');
    await expect.poll(here).toContain('token 1: ');
    await press(page, 'Home', 'ArrowDown');
    const next = marked.find((i) => i > 0)!;
    const to = tokens[next]!.attribution < 0 ? undesired : desired;
    await expect.poll(here).toContain(`token ${next}: `);
    await expect.poll(here).toContain(`toward “${to.replaceAll(' ', '␣')}”`);
    await page.locator('#pivot .readout').getByText(`token ${next}: `).waitFor();
    await press(page, 'End');
    await expect.poll(here).toContain(`token ${tokens.length - 1}: `);
    await send({ type: 'pivot', pivot: null });
    await expect.poll(() => page.locator('#pivot').isVisible()).toBe(false);
  });

  test('pairs that are not known are told from none, and asked for again when the attribution is there', async () => {
    const { page, sent, send } = await open();
    const [component, none] = [own[3]!, own[4]!];
    await send({ type: 'focus', component });
    await send({ type: 'purpose', purpose: { ...demo.purposes[3]!, served: null } });
    await page.getByText('Not known before the attribution').waitFor();
    await page.getByRole('button', { name: 'Compute attribution for the pairs' }).click();
    await expect.poll(() => sent('attribute')).toEqual([{ type: 'attribute' }]);
    const before = (await sent('purpose')).length;
    await send({ type: 'attribution', attribution: demo.view.attribution!, pairs: demo.view.pairs });
    await expect
      .poll(async () => (await sent('purpose')).slice(before))
      .toEqual([{ type: 'purpose', component }]);
    await send({ type: 'purpose', purpose: demo.purposes[3]! });
    await page.getByRole('list', { name: /serves most/ }).waitFor();
    await send({ type: 'focus', component: none });
    await send({ type: 'purpose', purpose: { ...demo.purposes[4]!, served: [] } });
    await page.getByText('None: it pushes toward the desired token in no pair.').waitFor();
  });

  test('training: choices are checked, sent, and a job can be stopped', async () => {
    const { page, sent, send } = await open();
    const start = page.getByRole('button', { name: 'Start training' });
    await page.getByRole('textbox', { name: 'Steps' }).fill('0');
    await press(page, 'Enter', 'Tab');
    await expect.poll(() => start.isDisabled()).toBe(true);
    await page.getByRole('textbox', { name: 'Steps' }).fill('12');
    await press(page, 'Enter', 'Tab');
    await page.getByText('Matched controls (none)').click();
    await page.getByRole('checkbox', { name: 'LoRA' }).click();
    await start.click();
    const [message] = await sent('train');
    expect(message!.selected).toEqual(own);
    expect(message!.choices).toMatchObject({ steps: 12, learningRate: 0.005, variants: ['lora'] });
    await send({ type: 'job', job: runningJob });
    await page.locator('#training').getByText('amplify: 22 of 30 steps · 38 s left').waitFor();
    await expect.poll(() => start.isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Stop, keep best' }).click();
    await expect.poll(() => sent('endTraining')).toEqual([{ type: 'endTraining', job: 'job-1' }]);
    expect(await sent('cancel')).toEqual([]);
    await send({ type: 'job', job: { ...runningJob, endingTraining: true } });
    await page.locator('#training').getByText('Ending the training; the best step is kept').waitFor();
    await expect.poll(() => page.getByRole('button', { name: 'Stop, keep best' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await expect.poll(() => sent('cancel')).toEqual([{ type: 'cancel', job: 'job-1' }]);
    // The patch is written: there is no training to end, but a job to cancel.
    await send({ type: 'job', job: { ...runningJob, stage: 'evaluate' } });
    await page.locator('#training').getByText('Running · evaluate').waitFor();
    await expect.poll(() => page.getByRole('button', { name: 'Stop, keep best' }).isDisabled()).toBe(true);
    await expect.poll(() => page.getByRole('button', { name: 'Cancel' }).isDisabled()).toBe(false);
    await send({ type: 'job', job: { ...runningJob, state: 'failed', error: 'no space left' } });
    await page.locator('#training').getByText('Failed · no space left').waitFor();
    await send({ type: 'trusted', trusted: false });
    await page.getByText('Training needs a trusted workspace.').waitFor();
  });

  test('the mask is seen while it is learned', async () => {
    const { page, send } = await open();
    const images = [];
    for (const message of demo.live) {
      await send(message);
      await settle(page);
      images.push((await page.locator('canvas').screenshot()).toString('base64'));
    }
    expect(new Set(images).size).toBe(demo.live.length);
    const { epoch, selected } = demo.live.at(-1)!;
    await page.getByText(`epoch ${epoch} · ${selected} selected`).waitFor();
    await page.screenshot({ path: path.join(shots, 'panel-learning.png') });
  });

  test('curves are read with the slider, the pointer and as a table', async () => {
    const { page, send } = await open();
    await send({ type: 'steps', from: 0, steps: demo.steps });
    const step = page.getByRole('slider', { name: 'Step' });
    await expect.poll(() => step.getAttribute('aria-valuetext')).toMatch(/^Step 30 /);
    await step.focus();
    await press(page, 'Home', 'ArrowRight');
    await expect.poll(() => step.getAttribute('aria-valuetext')).toMatch(/^Step 2 · loss 0\.507/);
    await page.locator('.chart.margin').hover({ position: { x: 100, y: 40 } });
    await expect.poll(() => step.getAttribute('aria-valuetext')).toMatch(/^Step 1\d/);
    await page.getByText('All steps as a table').click();
    await expect
      .poll(() => page.getByRole('region', { name: 'All steps' }).getByRole('row').count())
      .toBe(31);
    await page.getByRole('rowheader', { name: '10 best' }).waitFor();
    const breach = 'KL to the base on control text 0.0612 > 0.05';
    await send({ type: 'steps', from: 30, steps: [{ ...demo.steps[29]!, step: 31, breach }] });
    await page.getByText(breach).waitFor();
  });

  test('the report has figures, intervals and p', async () => {
    const { page, send, sent } = await open();
    await send({ type: 'report', report: demo.report });
    const row = page.getByRole('row', { name: /^target/ });
    await row.waitFor();
    await expect.poll(() => row.textContent()).toContain('64.3 % → 94.3 %+30.0 [+27.1, +32.9]< 0.001');
    await page.getByRole('link', { name: 'Go through the answers that changed' }).click();
    await expect.poll(() => sent('openFlips')).toHaveLength(1);
  });

  test('what is shown comes back after a reload', async () => {
    const first = await open();
    await first.page.getByRole('radio', { name: 'Change' }).check();
    await first.page.getByRole('textbox', { name: 'Top k' }).fill('40');
    await press(first.page, 'Enter');
    await expect.poll(first.kept).toMatchObject({ lens: 'change', run: demo.view.run });
    await first.page.waitForTimeout(400);
    const again = await open({ state: await first.kept() });
    await expect.poll(() => selectedCount(again.page)).toBe(40);
    await expect.poll(() => again.page.getByRole('radio', { name: 'Change' }).isChecked()).toBe(true);
  });

  test('messages that make no sense are ignored and reported', async () => {
    const { page, send, sent } = await open();
    await send({ type: 'steps', from: -1, steps: 'all' });
    await send({ type: 'selfDestruct' });
    await send({ ...demo.live[0]!, values: 'AAAA' });
    await expect.poll(async () => (await sent('failed')).length).toBe(3);
    await expect.poll(() => selectedCount(page)).toBe(own.length);
  });

  test('progress is told seldom, errors at once', async () => {
    const { page, send } = await open();
    const status = page.locator('.notices [role=status]');
    await send({ type: 'job', job: runningJob });
    await expect.poll(() => status.textContent()).toContain('22 of 30');
    for (let done = 23; done < 29; done++) await send({ type: 'job', job: { ...runningJob, done } });
    await settle(page);
    expect(await status.textContent()).toContain('22 of 30');
    await send({ type: 'notice', level: 'error', text: 'The model is gone.' });
    await expect.poll(() => page.getByRole('alert').textContent()).toBe('The model is gone.');
    await page.getByRole('button', { name: 'Dismiss' }).click();
    await expect.poll(() => page.getByText('The model is gone.').count()).toBe(0);
  });

  test('a large model: few elements, every component within reach', async () => {
    const panel = await openPanel(browser);
    opened.push(panel);
    const { page, send } = panel;
    const view = largeView();
    await send(circuitMessage(view));
    await cell(page).waitFor();
    await expect.poll(() => selectedCount(page)).toBe(view.selected.length);
    await page.screenshot({ path: path.join(shots, 'panel-large.png'), fullPage: true });
    await cell(page).focus();
    await press(page, '1', '7', 'Enter');
    await page.getByRole('grid', { name: 'Components of layer 17' }).waitFor();
    await press(page, 'Control+End');
    await expect.poll(() => label(page)).toMatch(/^L17 neuron 14335/);
    await page.screenshot({ path: path.join(shots, 'panel-large-layer.png'), fullPage: true });
    expect(await page.evaluate('document.querySelectorAll("*").length')).toBeLessThan(1500);
    expect(await violations(page)).toEqual([]);
  });
});

/** Different colours on the canvas. */
const colours = (page: Page): Promise<number> =>
  page.evaluate(`(() => {
    const canvas = document.querySelector('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  })()`);

/** What axe-core finds, one line each. */
async function violations(page: Page): Promise<string[]> {
  // Through the debugger: the page's policy lets no other script in.
  await page.evaluate(axe);
  return page.evaluate(`(async () => {
    const { violations } = await axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) => nodes.map((n) => id + ': ' + n.target.join(' ') + ' ' + n.failureSummary));
  })()`);
}
