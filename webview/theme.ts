const listeners: (() => void)[] = [];

/** Calls back when the editor's theme or the system's contrast mode has changed. */
export function onThemeChange(listener: () => void): void {
  listeners.push(listener);
}

export function watchTheme(): void {
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const changes = new MutationObserver(tell);
  changes.observe(document.documentElement, { attributeFilter: ['style'] });
  changes.observe(document.body, { attributeFilter: ['class', 'data-vscode-theme-id'] });
  for (const query of ['(forced-colors: active)', '(prefers-color-scheme: dark)']) {
    window.matchMedia(query).addEventListener('change', tell);
  }
}
