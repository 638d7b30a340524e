import { notification, request } from './message.ts';

/** `initializationOptions` of the server, and what `cca/configure` changes later. */
export interface ServerOptions {
  /** A trusted workspace: only then are models loaded and jobs run. */
  trusted: boolean;
  /** Where the server keeps its list of jobs, one per workspace: a folder, or a name for one in the server's own home. */
  storage: string;
  device: 'auto' | 'cpu' | 'cuda' | 'webgpu' | 'dml' | 'coreml';
  /** CPU threads; null for one per core, at most 8. */
  threads: number | null;
  /** Leave 16-bit weights as they are stored: less memory, slower. */
  lean: boolean;
  /** Jobs leave the processor to whatever else wants it. */
  background: boolean;
  /** Alternatives per token in hovers. */
  topK: number;
  /** Tokens of a completion that a diff or a branch generates, at most. */
  maxTokens: number;
  /** Model folder for documents whose own model is not there; null for none. */
  model: string | null;
  /** The same for documents of single workspace folders, whose settings may differ. */
  models: { folder: string; model: string | null }[];
}

/** What the status bar shows. */
export interface EngineStatus {
  state: 'idle' | 'busy' | 'failed';
  /** Execution provider and folder of the model in use; null before one is loaded. */
  device: string | null;
  model: string | null;
  /** Tokens per second of the last piece of work; null where nothing was measured. */
  tokensPerSecond: number | null;
  /** Resident memory of the engine's process, bytes. */
  memory: number;
  /** One line on the last failure; null. */
  failure: string | null;
}

export interface Device {
  name: string;
  available: boolean;
  reason: string;
}

export const configure = request<ServerOptions, null>('cca/configure');
export const devices = request<null, Device[]>('cca/devices');
export const engineStatus = notification<EngineStatus>('cca/engine/status');
/** The engine's thread ended unexpectedly and was started again; told once per crash. */
export const engineCrashed = notification<{ reason: string; restarted: boolean }>('cca/engine/crashed');
