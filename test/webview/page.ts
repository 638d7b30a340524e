import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import type { FromPanel, ToPanel } from '../../server/protocol/panel.ts';
import { panelHtml } from '../../src/panel/html.ts';

/** The product's root, from the tests' folder or from dist/. */
const root = path.resolve(import.meta.dirname, import.meta.dirname.endsWith('dist') ? '..' : '../..');
const ORIGIN = 'https://panel.test';
const NONCE = 'nonceForThisTest1234';

const themes = JSON.parse(
  readFileSync(path.join(root, 'test/webview/fixtures/themes.json'), 'utf8'),
) as Record<ThemeName, { name: string; body: string; variables: Record<string, string> }>;

/**
 * VS Code's colour variables that the panel uses, read from the workbench of VS Code 1.117 in its four built-in themes
 * (the computed style of .monaco-workbench).
 */
export type ThemeName = 'dark' | 'light' | 'hc-dark' | 'hc-light';
export const themeNames: readonly ThemeName[] = ['dark', 'light', 'hc-dark', 'hc-light'];

/** Variables that VS Code computes for webviews beside the theme's. */
const fonts = {
  '--vscode-font-family': 'system-ui, "Ubuntu", "Droid Sans", sans-serif',
  '--vscode-font-weight': 'normal',
  '--vscode-font-size': '13px',
  '--vscode-editor-font-family': '"Droid Sans Mono", monospace',
};

/** A panel in a page that does what VS Code's webview does: theme, page with its policy, messages, kept state. */
export interface Panel {
  page: Page;
  send(message: ToPanel | Record<string, unknown>): Promise<void>;
  /** Messages of a type that the panel has sent. */
  sent<K extends FromPanel['type']>(type: K): Promise<Extract<FromPanel, { type: K }>[]>;
  /** What was written to the browser's console as an error: refused by the policy, thrown. */
  complaints: string[];
  kept(): Promise<unknown>;
  /** Milliseconds from the page's navigation to the frame that shows the grid; needs `answer`. */
  shown(): Promise<number>;
}

export interface PanelOptions extends BrowserContextOptions {
  theme?: ThemeName;
  /** What an earlier page kept. */
  state?: unknown;
  /** What the host answers to `ready` with at once. */
  answer?: ToPanel;
  /** Milliseconds from the window's opening to the page's: what the browser does for itself in a new window comes to rest. */
  rest?: number;
}

export async function openPanel(
  browser: Browser,
  { theme = 'dark', state, answer, rest = 0, ...options }: PanelOptions = {},
): Promise<Panel> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  const html = panelHtml({
    source: ORIGIN,
    script: `${ORIGIN}/panel.js`,
    style: `${ORIGIN}/panel-style.css`,
    nonce: NONCE,
  });
  await page.route(`${ORIGIN}/**`, (route) => {
    const name = new URL(route.request().url()).pathname.slice(1);
    if (name === '') return route.fulfill({ contentType: 'text/html', body: html });
    if (name === 'favicon.ico') return route.fulfill({ status: 204 });
    return route.fulfill({ path: path.join(root, 'dist', name) });
  });
  const { variables, body } = themes[theme];
  const parts = {
    variables: { ...variables, ...fonts },
    classes: body.split(' '),
    state: state ?? null,
    answer: answer ?? null,
  };
  await page.addInitScript({ content: imitateHost(parts) });
  await page.waitForTimeout(rest);
  await page.goto(`${ORIGIN}/`);
  const read = () => page.evaluate(() => (globalThis as never as Imitation).sent);
  // Not waitForFunction: it evaluates text, which the page's policy refuses.
  for (let tries = 0; !(await read()).some(({ type }) => type === 'ready'); tries++) {
    if (tries > 200) throw new Error(`the panel did not start: ${complaints.join('; ')}`);
    await page.waitForTimeout(25);
  }
  return {
    page,
    complaints,
    send: (message) =>
      page.evaluate((data) => (globalThis as never as Imitation).postMessage(data, '*'), message),
    sent: async (type) => (await read()).filter((message) => message.type === type) as never,
    kept: () => page.evaluate(() => (globalThis as never as Imitation).kept),
    shown: async () => {
      for (;;) {
        const at = await page.evaluate(() => (globalThis as never as Imitation).shown);
        if (at !== null) return at;
        await page.waitForTimeout(20);
      }
    },
  };
}

/** What the imitated host leaves in the page. */
interface Imitation {
  sent: FromPanel[];
  kept: unknown;
  shown: number | null;
  postMessage(message: unknown, target: string): void;
}

/** Runs in the page before its own script, as text since it belongs to the browser. */
const imitateHost = (parts: {
  variables: Record<string, string>;
  classes: string[];
  state: unknown;
  answer: ToPanel | null;
}) => `(({ variables, classes, state, answer }) => {
  globalThis.sent = [];
  globalThis.kept = state;
  globalThis.shown = null;
  // A frame after the one in which the cell with the focus came to be.
  const watch = () => {
    if (!document.querySelector('[role=gridcell]')) return requestAnimationFrame(watch);
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { globalThis.shown = performance.now(); };
    requestAnimationFrame(() => channel.port2.postMessage(null));
  };
  if (answer) requestAnimationFrame(watch);
  globalThis.acquireVsCodeApi = () => ({
    postMessage: (message) => {
      sent.push(message);
      if (answer && message.type === 'ready') window.postMessage(answer, '*');
    },
    getState: () => kept ?? undefined,
    setState: (value) => { globalThis.kept = JSON.parse(JSON.stringify(value)); },
  });
  // VS Code sets the theme's variables and the body's classes before a page's script runs.
  new MutationObserver((_, observer) => {
    if (!document.body) return;
    observer.disconnect();
    for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(name, value);
    document.body.classList.add(...classes);
  }).observe(document, { childList: true, subtree: true });
})(${JSON.stringify(parts)})`;
