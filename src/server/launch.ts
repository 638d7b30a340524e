import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** How the engine's process is started. */
export interface Launch {
  command: string;
  args: string[];
  /** Added to the editor's own environment. */
  env: Record<string, string>;
}

export interface LaunchSettings {
  /** Node that runs the engine; empty for `editorNode`. */
  node: string;
  /** Program and arguments in place of all that; empty for none. */
  command: readonly string[];
  /** The program that the extension host runs in: Node, or Electron that can act as it. */
  editorNode: string;
  /** The engine's script. */
  script: string;
  /** For an OpenAI-compatible endpoint; absent where none is stored. */
  apiKey: string | undefined;
}

/** The key reaches the process in its environment alone: never in arguments, settings or logs. */
export function launchOf({ node, command, editorNode, script, apiKey }: LaunchSettings): Launch {
  const env = {
    ORT_DISABLE_TELEMETRY: '1',
    ...(apiKey === undefined ? {} : { CCA_ENDPOINT_API_KEY: apiKey }),
  };
  const [program, ...args] = command;
  if (program !== undefined) return { command: program, args, env };
  if (node !== '') return { command: node, args: [script, '--stdio'], env };
  return { command: editorNode, args: [script, '--stdio'], env: { ...env, ELECTRON_RUN_AS_NODE: '1' } };
}

/** @throws Error with one line where the program cannot be started */
export async function start({ command, args, env }: Launch): Promise<ChildProcess> {
  const own = { ...process.env };
  // The editor's own options are for its own processes.
  for (const name of ['NODE_OPTIONS', 'VSCODE_INSPECTOR_OPTIONS']) delete own[name];
  const child = spawn(command, args, { env: { ...own, ...env }, stdio: 'pipe', windowsHide: true });
  try {
    await once(child, 'spawn');
  } catch (reason) {
    const code = (reason as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such program' : String(code ?? reason);
    throw new Error(`${command}: ${why}; check the settings engine.node and engine.command`);
  }
  return child;
}
