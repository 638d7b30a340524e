import type { FromPanel } from '../server/protocol/panel.ts';

interface VsCode {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCode;

/** The extension host, and the place where it keeps what the panel shows over a reload. */
export interface Host {
  post(message: FromPanel): void;
  kept(): unknown;
  keep(state: unknown): void;
}

export function connect(): Host {
  const api = acquireVsCodeApi();
  return {
    post: (message) => api.postMessage(message),
    kept: () => api.getState(),
    keep: (state) => api.setState(state),
  };
}
