/**
 * Every kind of graph on WebGPU, by a software Vulkan driver, for models that between them have the features of the decoder
 * families: it runs there, not on the CPU that takes what the provider lacks, and computes what the CPU computes.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RUNTIME_ENVIRONMENT } from '../../server/onnx/environment.ts';
import type { OracleName } from '../oracle.ts';
import type { Outcome, Placement } from './graphs/worker.ts';
import { findVulkan } from './vulkan.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Tied and untied heads, biases, 16-bit weights, norms of heads, both attention windows, soft caps, fused matrices. */
const MODELS: readonly OracleName[] = ['llama-tied', 'qwen2-f16', 'qwen3', 'gemma2', 'phi3'];
/** Ops of 32-bit floating-point numbers that the provider leaves to the CPU. */
const FALLBACKS = ['LogSoftmax'];

const found = findVulkan();
const missing = 'missing' in found ? found.missing : null;
if (missing) console.warn(`WebGPU is not tested: ${missing}`);

// test/vscode/setup.ts installs what a machine of Debian lacks.
test.runIf(process.env.CI === 'true' && process.platform === 'linux')('a software driver is there', () => {
  expect(missing).toBeNull();
});

describe.skipIf(missing !== null)(`WebGPU${missing ? `: ${missing}` : ''}`, () => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-webgpu-'));
  // Where the runtime's package is found from.
  const worker = path.join(ROOT, 'node_modules', '.cache', `cca-graphs-${process.pid}.mjs`);
  const outcomes: Record<string, Map<OracleName, Outcome>> = {};

  beforeAll(async () => {
    await build({
      entryPoints: [path.join(ROOT, 'test/onnx/graphs/worker.ts')],
      outfile: worker,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['onnxruntime-node'],
      // The oracles are found from where the source is.
      define: { 'import.meta.url': JSON.stringify(new URL('../oracle.ts', import.meta.url).href) },
    });
    fs.chmodSync(scratch, 0o700);
    for (const device of ['cpu', 'webgpu']) outcomes[device] = await run(device);
  }, 3_600_000);
  afterAll(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
    fs.rmSync(worker, { force: true });
  });

  function run(device: string): Promise<Map<OracleName, Outcome>> {
    const driver = 'driver' in found ? found.driver : '';
    const env = {
      ...process.env,
      ...RUNTIME_ENVIRONMENT,
      VK_ICD_FILENAMES: driver,
      VK_DRIVER_FILES: driver,
      // The driver's memory-backed files; without a folder of its own some refuse to start.
      XDG_RUNTIME_DIR: scratch,
    };
    const child = spawn(process.execPath, [worker, device, ...MODELS], { env });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        said[stream] += text;
      });
    }
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, signal) => {
        if (code !== 0)
          return reject(new Error(`${device}: ${signal ?? `exit code ${code}`}\n${said.stderr}`));
        const lines = said.stdout.trim().split('\n');
        const all = lines.map((line): Outcome => JSON.parse(line));
        resolve(new Map(all.map((outcome) => [outcome.model, outcome])));
      });
    });
  }

  test.each(MODELS)('%s: the numbers of the CPU', (model) => {
    const [expected, actual] = ['cpu', 'webgpu'].map((device) => outcomes[device]!.get(model)!.results);
    expect(Object.keys(actual!)).toEqual(Object.keys(expected!));
    const errors = Object.entries(expected!).map(([key, values]) => {
      expect(actual![key]!.length, key).toBe(values.length);
      const largest = Math.max(...values.map(Math.abs));
      expect(largest, key).toBeGreaterThan(0);
      // NaN stands as null in JSON, and must not pass as 0.
      const worst = Math.max(...values.map((v, i) => Math.abs(v - (actual![key]![i] ?? Number.NaN))));
      return { key, error: worst / largest };
    });
    expect(errors.filter(({ error }) => !(error < 1e-3))).toEqual([]);
    expect(actual!['greedy ids']).toEqual(expected!['greedy ids']);
    const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
    console.log(
      `${model}: ${errors.length} outputs, largest error ${worst.error.toExponential(1)} (${worst.key})`,
    );
  });

  test.each(MODELS)('%s: WebGPU runs all but what it lacks', (model) => {
    // What reads 16-bit numbers is sent to the CPU on purpose (server/onnx/session.ts).
    const placements = outcomes.webgpu!.get(model)!.placements.filter(({ narrow }) => !narrow);
    const isOwn = ({ provider }: Placement) => provider === 'WebGpuExecutionProvider';
    const runs = (some: readonly Placement[]) => some.reduce((sum, placement) => sum + placement.runs, 0);
    const share = (some: readonly Placement[]) => runs(some.filter(isOwn)) / runs(some);
    const list = (some: readonly Placement[]) =>
      some.map(({ op, runs: n }) => `${op} ${n}`).join(', ') || 'none';
    const floats = placements.filter((placement) => placement.floats);
    const lacking = floats.filter((placement) => !isOwn(placement));
    const extents = placements.filter((placement) => !placement.floats && !isOwn(placement));
    console.log(
      `${model}: WebGPU ran ${(100 * share(floats)).toFixed(1)} % of the nodes that compute floats ` +
        `(${(100 * share(placements)).toFixed(1)} % of all); the CPU ran, of those: ${list(lacking)}; and for extents: ${list(extents)}`,
    );
    expect(lacking.map(({ op }) => op).filter((op) => !FALLBACKS.includes(op))).toEqual([]);
    expect(share(floats)).toBeGreaterThan(0.98);
    expect(share(placements)).toBeGreaterThan(0.85);
    expect(outcomes.cpu!.get(model)!.placements.some(isOwn)).toBe(false);
  });
});
