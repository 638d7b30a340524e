import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeLink,
  vsCodeOption,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { h } from './dom.ts';

/**
 * The controls that look like VS Code's own. This is the only module that knows which library draws them: the rest sees
 * plain elements with the properties below, so that a successor of the library (archived upstream) changes this file alone.
 */

export interface Button extends HTMLElement {
  disabled: boolean;
}
export interface Checkbox extends HTMLElement {
  checked: boolean;
  disabled: boolean;
}
export interface Dropdown extends HTMLElement {
  value: string;
  disabled: boolean;
}
export interface TextField extends HTMLElement {
  value: string;
  disabled: boolean;
}

export function registerControls(): void {
  provideVSCodeDesignSystem().register(
    vsCodeButton(),
    vsCodeCheckbox(),
    vsCodeDropdown(),
    vsCodeLink(),
    vsCodeOption(),
    vsCodeTextField(),
  );
}

const control = <T extends HTMLElement>(
  tag: string,
  attributes: Record<string, string>,
  ...children: string[]
) => h(tag as 'div', attributes, ...children) as HTMLElement as T;

export function button(
  label: string,
  press: () => void,
  options: { primary?: boolean; title?: string; name?: string } = {},
): Button {
  const element = control<Button>(
    'vscode-button',
    { appearance: options.primary ? 'primary' : 'secondary' },
    label,
  );
  if (options.title) element.title = options.title;
  if (options.name) element.setAttribute('aria-label', options.name);
  element.addEventListener('click', () => {
    if (!element.disabled) press();
  });
  return element;
}

export function checkbox(label: string, change: (checked: boolean) => void, checked = false): Checkbox {
  const element = control<Checkbox>('vscode-checkbox', {}, label);
  element.checked = checked;
  element.addEventListener('change', () => change(element.checked));
  return element;
}

export interface Option {
  value: string;
  label: string;
}

export function dropdown(label: string, change: (value: string) => void): Dropdown {
  const element = control<Dropdown>('vscode-dropdown', { 'aria-label': label });
  element.addEventListener('change', () => change(element.value));
  return element;
}

/** Replaces a dropdown's options. Nothing happens where they are the same, so that an open list stays open. */
export function setOptions(element: Dropdown, options: readonly Option[], value: string): void {
  const present = [...element.children].map((child) => `${child.getAttribute('value')}=${child.textContent}`);
  if (present.join('\n') !== options.map((option) => `${option.value}=${option.label}`).join('\n')) {
    element.replaceChildren(
      ...options.map((option) => control('vscode-option', { value: option.value }, option.label)),
    );
  }
  // The element learns of its options only after they are connected.
  queueMicrotask(() => {
    element.value = value;
  });
}

export function textField(label: string, change: (value: string) => void): TextField {
  const element = control<TextField>('vscode-text-field', {}, label);
  element.addEventListener('change', () => change(element.value));
  return element;
}

export function link(label: string, press: () => void, name?: string): HTMLElement {
  const element = control('vscode-link', { href: '#' }, label);
  if (name) element.setAttribute('aria-label', name);
  element.addEventListener('click', (event) => {
    event.preventDefault();
    press();
  });
  return element;
}

/** One choice of a few, side by side. The library has none; native radio buttons do the work. */
export function segmented(
  label: string,
  options: readonly Option[],
  change: (value: string) => void,
): { element: HTMLElement; set(value: string): void } {
  const name = `segment-${label.toLowerCase().replaceAll(' ', '-')}`;
  const inputs = options.map(({ value }) =>
    h('input', { type: 'radio', name, value, class: 'segment-input' }),
  );
  const element = h(
    'div',
    { role: 'radiogroup', 'aria-label': label, class: 'segmented' },
    ...options.map((option, i) => h('label', { class: 'segment' }, inputs[i]!, h('span', {}, option.label))),
  );
  for (const input of inputs) input.addEventListener('change', () => change(input.value));
  return {
    element,
    set: (value) => {
      for (const input of inputs) input.checked = input.value === value;
    },
  };
}

/** A slider; the library has none. `text` says its value in words for screen readers. */
export function slider(
  label: string,
  max: number,
  change: (value: number, done: boolean) => void,
): { element: HTMLInputElement; set(value: number, text: string): void } {
  const element = h('input', {
    type: 'range',
    min: '0',
    max: String(max),
    class: 'slider',
    'aria-label': label,
  });
  element.addEventListener('input', () => change(element.valueAsNumber, false));
  element.addEventListener('change', () => change(element.valueAsNumber, true));
  return {
    element,
    set: (value, text) => {
      element.value = String(value);
      element.setAttribute('aria-valuetext', text);
    },
  };
}
