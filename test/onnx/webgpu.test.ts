/** Every kind of graph on WebGPU, by a software Vulkan driver, computes what it computes on the CPU. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RUNTIME_ENVIRONMENT } from '../../server/onnx/environment.ts';
import type { OracleName } from '../oracle.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Of the Vulkan loader's manifests of software drivers; Chromium brings one. */
const DRIVERS = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
  '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json',
];
const LOADERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'];

const driver =
  process.env.VK_ICD_FILENAMES ?? process.env.VK_DRIVER_FILES ?? DRIVERS.find((file) => fs.existsSync(file));
const hasLoader = LOADERS.some((folder) => fs.existsSync(path.join(folder, 'libvulkan.so.1')));
const missing =
  process.platform !== 'linux'
    ? 'a software Vulkan driver is looked for on Linux alone'
    : !hasLoader
      ? 'no Vulkan loader is installed (Debian: libvulkan1)'
      : !driver
        ? 'no software Vulkan driver is installed (Debian: chromium brings SwiftShader, mesa-vulkan-drivers lavapipe)'
        : null;
if (missing) console.warn(`WebGPU is not tested: ${missing}`);

/** A tied and an untied head, biases, both attention windows, soft caps, fused matrices, 16-bit weights. */
const MODELS: readonly OracleName[] = ['llama-tied', 'llama-bf16', 'qwen2', 'gemma2', 'olmo2', 'phi3'];

describe.skipIf(missing !== null)(`WebGPU${missing ? `: ${missing}` : ''}`, () => {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'cca-webgpu-'));
  // Where the runtime's package is found from.
  const worker = path.join(ROOT, 'node_modules', '.cache', `cca-graphs-${process.pid}.mjs`);
  afterAll(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
    fs.rmSync(worker, { force: true });
  });
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
  });

  const run = (device: string, model: OracleName): Record<string, number[]> => {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [worker, device, model], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      env: {
        ...process.env,
        ...RUNTIME_ENVIRONMENT,
        VK_ICD_FILENAMES: driver,
        VK_DRIVER_FILES: driver,
        // The driver's memory-backed files; without a folder of its own some refuse to start.
        XDG_RUNTIME_DIR: scratch,
      },
    });
    if (status !== 0) throw new Error(`${model} on ${device}: ${signal ?? `exit code ${status}`}\n${stderr}`);
    return JSON.parse(stdout.trim().split('\n').at(-1)!);
  };

  test.each(MODELS)('%s', (model) => {
    const expected = run('cpu', model);
    const actual = run('webgpu', model);
    expect(Object.keys(actual)).toEqual(Object.keys(expected));
    const errors = Object.entries(expected).map(([key, values]) => {
      expect(actual[key]!.length, key).toBe(values.length);
      const largest = Math.max(...values.map(Math.abs));
      // NaN stands as null in JSON, and must not pass as 0.
      const worst = Math.max(...values.map((v, i) => Math.abs(v - (actual[key]![i] ?? Number.NaN))));
      return { key, error: worst / largest };
    });
    expect(errors.filter(({ error }) => !(error < 1e-3))).toEqual([]);
    expect(actual['greedy ids']).toEqual(expected['greedy ids']);
  });
});
