/** VS Code's window as a user works it: palette, lists, trees, notifications, editors, webviews. Waits are for what is seen. */
import type { Browser, Frame, Locator, Page } from 'playwright-core';

/** Milliseconds until something that should be seen is given up; long for busy machines. */
const PATIENCE = 120_000;

/** Not in webviews: they have a policy of their own, and nothing that turns. */
const STILL = `
  if (window === window.top) document.addEventListener('DOMContentLoaded', () => {
    const style = document.createElement('style');
    style.textContent = '*, ::before, ::after { animation: none !important; }';
    document.head.append(style);
  });
`;

/** Stops what moves by itself: drawn without a graphics processor, a turning wheel takes a third of a core. */
export const standStill = (page: Page): Promise<unknown> => page.addInitScript({ content: STILL });

export class Workbench {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(PATIENCE);
  }

  /** Opens a window that stands still. */
  static async open(browser: Browser, url: string): Promise<Workbench> {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    await standStill(page);
    await page.goto(url);
    const workbench = new Workbench(page);
    await workbench.ready();
    return workbench;
  }

  /** Waits until the window can be worked with. */
  async ready(): Promise<void> {
    await this.page.locator('.monaco-workbench .part.statusbar').waitFor();
    await this.page.locator('.monaco-workbench .activitybar a.action-label').first().waitFor();
  }

  /** Runs a command of the palette by its title. */
  command(title: string): Promise<void> {
    return this.#choose('F1', `>${title}`, title);
  }

  /** Opens a file of the workspace. */
  quickOpen(name: string): Promise<void> {
    return this.#choose('Control+P', name, name);
  }

  /** The palette's list is made when it opens: what a starting window does not know yet is looked for again. */
  async #choose(key: string, typed: string, label: string): Promise<void> {
    const end = Date.now() + PATIENCE;
    const input = this.page.locator('.quick-input-widget input.input:visible');
    for (;;) {
      await this.page.keyboard.press(key);
      if (await this.#filled(input, typed, label)) return this.page.keyboard.press('Enter');
      if (Date.now() > end) throw new Error(`the palette does not have ${label}`);
      await this.page.keyboard.press('Escape');
    }
  }

  async #filled(input: Locator, typed: string, label: string): Promise<boolean> {
    const timeout = 4000;
    try {
      await input.waitFor({ timeout });
      await input.fill(typed, { timeout });
      // A list that has not been filtered yet may show the row, with another one chosen.
      await this.#chosen(label).waitFor({ timeout });
      return true;
    } catch {
      return false;
    }
  }

  #row(label: string | RegExp): Locator {
    return this.page.locator('.quick-input-widget .monaco-list-row').filter({ hasText: label });
  }

  /** The row that Enter takes. */
  #chosen(label: string | RegExp): Locator {
    return this.page
      .locator('.quick-input-widget .monaco-list-row.focused:visible')
      .filter({ hasText: label });
  }

  /** Takes an item of a list that a command shows: by keys alone. */
  async pick(label: string | RegExp): Promise<void> {
    await this.#reach(label);
    await this.page.keyboard.press('Enter');
  }

  async #reach(label: string | RegExp): Promise<void> {
    await this.#row(label).first().waitFor();
    // What was in front may have taken the focus back.
    await this.page.locator('.quick-input-widget input.input:visible').first().focus();
    const rows = this.page.locator('.quick-input-widget .monaco-list-row');
    const chosen = this.#chosen(label);
    const count = await rows.count();
    for (let i = 0; (await chosen.count()) === 0; i++) {
      if (i > 2 * count + 20) throw new Error(`${label} cannot be reached by keys`);
      await this.page.keyboard.press('ArrowDown');
      await this.page.waitForTimeout(30);
    }
  }

  /** The same in a list of which several can be taken: the chosen one is ticked, and the list taken. */
  async tick(label: string | RegExp): Promise<void> {
    await this.#reach(label);
    await this.page.keyboard.press('Space');
    await this.page.keyboard.press('Enter');
  }

  /** Answers VS Code's own question for a file or folder. */
  async give(title: string, file: string): Promise<void> {
    const asked = this.page.locator('.quick-input-title:visible').filter({ hasText: title });
    await asked.waitFor();
    // With the list of its folder it writes a suggestion over what has been typed.
    await this.page.locator('.quick-input-widget .monaco-list-row:visible').first().waitFor();
    const input = this.page.locator('.quick-input-widget input.input:visible').first();
    const end = Date.now() + PATIENCE;
    while (await asked.isVisible()) {
      if (Date.now() > end) throw new Error(`${title}: ${file} is not taken`);
      await input.fill(file);
      // It looks at what is typed, and completes it, before it takes it.
      await this.page.waitForTimeout(1000);
      // A folder that it has gone into ends with a slash.
      if ((await input.inputValue()).replace(/\/$/, '') !== file) continue;
      await this.page.keyboard.press('Enter');
      await asked.waitFor({ state: 'hidden', timeout: 2000 }).catch(() => undefined);
    }
  }

  /** Types into a box that a command shows. @param title the box's, which tells it from the palette before it */
  async enter(title: string, text: string): Promise<void> {
    await this.page.locator('.quick-input-title').filter({ hasText: title }).waitFor();
    await this.page.locator('.quick-input-widget input.input:visible').fill(text);
    await this.page.keyboard.press('Enter');
    await this.page.locator('.quick-input-title').filter({ hasText: title }).waitFor({ state: 'hidden' });
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts .notification-list-item').filter({ hasText: text });
  }

  statusItem(id: string): Locator {
    return this.page.locator(`[id="circuit-amplifier.circuit-amplifier.circuitAmplifier.${id}"]`);
  }

  /** A row of a tree in the side bar. */
  row(text: string | RegExp): Locator {
    return this.page.locator('.part.sidebar .monaco-list-row').filter({ hasText: text });
  }

  /** The editor in front. */
  get editor(): Locator {
    return this.page.locator('.editor-group-container.active .editor-instance').first();
  }

  tab(label: string | RegExp): Locator {
    return this.page.locator('.tabs-container .tab').filter({ hasText: label });
  }

  /** Page of an extension's webview that has a certain element. */
  async webview(selector: string): Promise<Frame> {
    const end = Date.now() + PATIENCE;
    for (;;) {
      for (const frame of this.page.frames()) {
        if (
          (await frame
            .locator(selector)
            .count()
            .catch(() => 0)) > 0
        )
          return frame;
      }
      if (Date.now() > end) throw new Error(`no webview has ${selector}`);
      await this.page.waitForTimeout(50);
    }
  }
}
