/** Which execution providers really run here, and which one `auto` means. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import ort from 'onnxruntime-node';
import { InputError } from '../errors.ts';
import { RUNTIME_ENVIRONMENT } from './environment.ts';
import type { ProbeResult } from './probe.ts';
import type { SessionOptions } from './session.ts';

export type Device = SessionOptions['provider'];
const DEVICES: readonly Device[] = ['cpu', 'cuda', 'webgpu', 'dml', 'coreml'];

/**
 * How far each was ever run: with every test; every kind of graph on a software driver (test/onnx/webgpu.test.ts), on no
 * GPU; or never, for want of the machine.
 */
export const TESTED = {
  cpu: 'in full',
  webgpu: 'on a software driver',
  cuda: 'never',
  dml: 'never',
  coreml: 'never',
} as const satisfies Record<Device, string>;

/** Said wherever such a device is chosen. */
const untried = (device: Device) =>
  TESTED[device] === 'never' ? '; never tried with a whole model: compare its results with the CPU' : '';

export interface DeviceReport {
  device: Device;
  /** It made a session and computed a small graph right. */
  works: boolean;
  /** Why not; null where it works. */
  reason: string | null;
  /** Best run of a chain of matrix products, 0.25 GFLOP; null where it does not work. */
  milliseconds: number | null;
}

export interface DeviceChoice {
  device: Device;
  /** Why, for people. */
  reason: string;
}

/** Version of ONNX Runtime, for the record of a run. */
export const runtimeVersion: string = ort.env.versions.node ?? ort.env.versions.common;

/** A driver that does nothing for this long is taken for broken. */
const PROBE_TIMEOUT_MS = 30_000;
/** A model below this size runs on the CPU: copies to and from a device would cost more than it saves. */
const SMALL_MODEL_BYTES = 64 * 2 ** 20;
/** `auto` leaves the CPU, which computes the same bits every time, only for something this many times as fast. */
const WORTH_WHILE = 2;

/** The probe's bundle, beside this module's own. */
const PROBE = new URL('./probe.mjs', import.meta.url);

/** Tries every device in a child process of its own, one after another, so that timings do not disturb each other. */
export async function probeDevices(threads: number, script: URL = PROBE): Promise<DeviceReport[]> {
  const reports: DeviceReport[] = [];
  for (const device of DEVICES) reports.push(await probeDevice(device, threads, script));
  return reports;
}

async function probeDevice(device: Device, threads: number, script: URL): Promise<DeviceReport> {
  const result = await new Promise<ProbeResult>((resolve) => {
    execFile(
      process.execPath,
      [fileURLToPath(script), device, String(threads)],
      // In an Electron host the executable is Electron's unless it is told to be Node.
      {
        timeout: PROBE_TIMEOUT_MS,
        killSignal: 'SIGKILL',
        env: { ...process.env, ELECTRON_RUN_AS_NODE: '1', ...RUNTIME_ENVIRONMENT },
      },
      (error, stdout) => {
        try {
          resolve(JSON.parse(stdout.trim().split('\n').at(-1)!) as ProbeResult);
        } catch {
          const reason = error?.killed
            ? `did not answer within ${PROBE_TIMEOUT_MS / 1000} s`
            : `crashed when it was tried (${error?.signal ?? `exit code ${error?.code}`})`;
          resolve({ works: false, reason });
        }
      },
    );
  });
  return result.works
    ? { device, works: true, reason: null, milliseconds: result.milliseconds }
    : { device, works: false, reason: result.reason, milliseconds: null };
}

/**
 * The device that `auto` means among those tried: the fastest if it is well ahead of the CPU.
 * @param modelBytes size of the weights; null where no model is meant
 */
export function chooseDevice(reports: readonly DeviceReport[], modelBytes: number | null): DeviceChoice {
  if (modelBytes !== null && modelBytes < SMALL_MODEL_BYTES) {
    return { device: 'cpu', reason: `the model is small (${Math.ceil(modelBytes / 1e6)} MB)` };
  }
  const working = reports.filter(({ works, device }) => works && device !== 'cpu');
  if (working.length === 0) return { device: 'cpu', reason: 'no accelerator works here' };
  const fastest = working.reduce((a, b) => (b.milliseconds! < a.milliseconds! ? b : a));
  const cpu = reports.find(({ device }) => device === 'cpu')?.milliseconds ?? Number.POSITIVE_INFINITY;
  const times = `${fastest.milliseconds!.toFixed(1)} ms against ${cpu.toFixed(1)} ms on the CPU for 0.25 GFLOP`;
  if (cpu >= WORTH_WHILE * fastest.milliseconds!) {
    return { device: fastest.device, reason: times + untried(fastest.device) };
  }
  return { device: 'cpu', reason: `${fastest.device} is not ${WORTH_WHILE} times as fast (${times})` };
}

/**
 * The device to run a model on.
 * @throws InputError where the user wants one that does not work here
 */
export async function pickDevice(
  wanted: Device | 'auto',
  { modelBytes, threads, script = PROBE }: { modelBytes: number; threads: number; script?: URL },
): Promise<DeviceChoice> {
  if (wanted === 'cpu') return { device: 'cpu', reason: 'asked for' };
  if (wanted === 'auto') {
    // No need to wake a driver for a model that stays on the CPU.
    const reports = modelBytes < SMALL_MODEL_BYTES ? [] : await probeDevices(threads, script);
    return chooseDevice(reports, modelBytes);
  }
  const { works, reason } = await probeDevice(wanted, threads, script);
  if (works) return { device: wanted, reason: `asked for${untried(wanted)}` };
  throw new InputError(
    '--device',
    `${wanted} does not work here: ${reason}`,
    'Choose another; `cca devices` lists what works.',
  );
}
