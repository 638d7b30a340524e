// One bundle per process. Native and wasm-free: onnxruntime-node stays external because it loads its
// own binary relative to its package.
import { build } from "esbuild";

await build({
  entryPoints: { cli: "server/cli/main.ts", worker: "server/engine/worker.ts" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  external: ["onnxruntime-node"],
  sourcemap: true,
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: "warning",
});
