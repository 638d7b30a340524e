// Bundles, one per process, into dist/. `node build.mjs` builds the product; `node build.mjs bench` a tool.
// onnxruntime-node stays external because it loads its own binary relative to its package.
import { chmodSync } from 'node:fs';
import { build } from 'esbuild';

const engine = {
  // The command line; the language server; the engine's thread; a child process that tries one device.
  cli: 'server/cli/main.ts',
  server: 'server/main.ts',
  worker: 'server/engine/worker.ts',
  probe: 'server/onnx/probe.ts',
};
const tools = {
  bench: 'test/bench/bench.ts',
  fuzz: 'test/fuzz/fuzz.ts',
  'fuzz-worker': 'test/fuzz/worker.ts',
  'demo-train': 'server/demo/train.ts',
  'demo-data': 'server/demo/data.ts',
  'panel-fixture': 'test/webview/make-fixture.ts',
  'bench-panel': 'test/bench/panel.ts',
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in tools));
if (unknown) throw new Error(`no tool is called ${unknown}: known are ${Object.keys(tools).join(', ')}`);

const common = { bundle: true, outdir: 'dist', sourcemap: true, logLevel: 'warning' };
// Module builds first: the universal ones of some packages (jsonc-parser) load parts that a bundle cannot see.
const node = { ...common, platform: 'node', target: 'node20', mainFields: ['module', 'main'] };

await build({
  ...node,
  entryPoints: wanted.length > 0 ? Object.fromEntries(wanted.map((name) => [name, tools[name]])) : engine,
  outExtension: { '.js': '.mjs' },
  format: 'esm',
  external: ['onnxruntime-node', 'playwright-core'],
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
if (wanted.length === 0) {
  await build({
    ...node,
    entryPoints: { extension: 'src/extension.ts' },
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
    external: ['vscode'],
    minifySyntax: true,
  });
  await build({
    ...common,
    entryPoints: { panel: 'webview/main.ts', 'panel-style': 'webview/style.css' },
    platform: 'browser',
    target: 'es2022',
    format: 'iife',
    minify: true,
  });
  // `bin` of package.json: npm makes it executable where it links it, a checkout does not.
  chmodSync('dist/cli.mjs', 0o755);
}
