// Bundles, one per process, into dist/. `node build.mjs` builds the product; `node build.mjs bench` a tool.
// onnxruntime-node stays external because it loads its own binary relative to its package.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

const product = {
  // The command line; the engine's thread; a child process that tries one device.
  cli: 'server/cli/main.ts',
  worker: 'server/engine/worker.ts',
  probe: 'server/onnx/probe.ts',
};
const tools = {
  bench: 'test/bench/bench.ts',
  'demo-train': 'server/demo/train.ts',
  'demo-data': 'server/demo/data.ts',
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in tools));
if (unknown) throw new Error(`no tool is called ${unknown}: known are ${Object.keys(tools).join(', ')}`);

await build({
  entryPoints: wanted.length > 0 ? Object.fromEntries(wanted.map((name) => [name, tools[name]])) : product,
  outdir: 'dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['onnxruntime-node'],
  sourcemap: true,
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
// `bin` of package.json: npm makes it executable where it links it, a checkout does not.
if (wanted.length === 0) chmodSync('dist/cli.mjs', 0o755);
