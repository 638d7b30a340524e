// The VSIX of one platform: `npm run package [-- --target linux-x64] [--out FOLDER]`. Its runtime binaries are the only ones inside.
// `--list` prints what would be inside and packs nothing.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createVSIX, listFiles } from '@vscode/vsce';
import { noticesOf, packagesIn } from './notices.ts';

const MAX_BYTES = 60e6;
const BINARIES = 'node_modules/onnxruntime-node/bin/napi-v6';
const targets = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: `${process.platform}-${process.arch}` },
    out: { type: 'string', default: '.' },
    list: { type: 'boolean', default: false },
  },
});
const { target, out, list } = values;
if (!targets.includes(target)) {
  throw new Error(`${target}: ONNX Runtime has no binaries for it; known are ${targets.join(', ')}`);
}

const root = import.meta.dirname;
const binaries = `${BINARIES}/${target.replace('-', '/')}`;
if (!existsSync(path.join(root, binaries))) throw new Error(`${binaries} is not there: run npm ci`);
const { name, version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
mkdirSync(out, { recursive: true });
const packagePath = path.resolve(out, `${name}-${target}-${version}.vsix`);

// A folder of its own, so that two packagings at once do not take each other's files; beside the result, which is moved.
const scratch = mkdtempSync(path.join(path.resolve(out), '.package-'));
const ignoreFile = path.join(scratch, '.vscodeignore');
const unfinished = path.join(scratch, path.basename(packagePath));
const NOTICES = 'dist/ThirdPartyNotices.txt';
writeFileSync(ignoreFile, `${readFileSync(path.join(root, '.vscodeignore'), 'utf8')}!${binaries}/**\n`);
try {
  const without = await listFiles({ cwd: root, ignoreFile });
  const notices = path.join(scratch, 'notices');
  writeFileSync(notices, noticesOf(packagesIn(without)));
  renameSync(notices, path.join(root, NOTICES));
  const files = await listFiles({ cwd: root, ignoreFile });
  check(files);
  if (list) console.log(files.join('\n'));
  else await pack(files);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function pack(files) {
  await createVSIX({
    cwd: root,
    target,
    packagePath: unfinished,
    ignoreFile,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
  renameSync(unfinished, packagePath);
  summary(files);
}

/** What must be inside and what must not. */
function check(files) {
  const needed = [
    'dist/extension.cjs',
    'dist/server.mjs',
    'dist/worker.mjs',
    'dist/cli.mjs',
    'dist/probe.mjs',
    'dist/panel.js',
    'dist/panel-style.css',
    NOTICES,
    `${binaries}/onnxruntime_binding.node`,
    // Says that the files beside it are CommonJS.
    'node_modules/onnxruntime-common/dist/cjs/package.json',
  ];
  const missing = needed.filter((file) => !files.includes(file));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}`);
  const foreign = files.filter((file) => file.startsWith(BINARIES) && !file.startsWith(`${binaries}/`));
  if (foreign.length > 0) throw new Error(`of another platform: ${foreign.join(', ')}`);
  const stray = files.filter((file) => /\.(map|tsx?|vsix)$|^(server|src|test|webview|notices)\//.test(file));
  if (stray.length > 0) throw new Error(`for development only: ${stray.join(', ')}`);
  const links = [...readFileSync(path.join(root, 'README.md'), 'utf8').matchAll(/\]\(([^)#\s]+)[^)]*\)/g)];
  const dangling = links
    .map(([, link]) => link)
    .filter((link) => !link.includes('://') && !files.includes(link));
  if (dangling.length > 0) throw new Error(`README.md links to what is not inside: ${dangling.join(', ')}`);
}

function summary(files) {
  const size = (file) => statSync(path.join(root, file)).size;
  const mega = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;
  const largest = [...files].sort((a, b) => size(b) - size(a)).slice(0, 12);
  for (const file of largest) console.log(`${mega(size(file)).padStart(10)}  ${file}`);
  const packed = statSync(packagePath).size;
  const all = files.reduce((sum, file) => sum + size(file), 0);
  console.log(
    `${path.relative(process.cwd(), packagePath)}: ${files.length} files, ${mega(all)}, packed ${mega(packed)} (at most ${mega(MAX_BYTES)})`,
  );
  if (packed > MAX_BYTES) throw new Error(`the package is larger than ${mega(MAX_BYTES)}`);
}
