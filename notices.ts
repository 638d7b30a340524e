// Licences of what a package contains: of every npm package that went into a bundle, as the bundles' source maps tell, and of
// the runtime beside them. A package without a licence text ends the packaging.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = import.meta.dirname;

/** Texts of packages that ship none, in notices/. */
const OWN_TEXTS: Readonly<Record<string, readonly string[]>> = {
  '@bufbuild/protobuf': ['protobuf-es.txt'],
  '@microsoft/fast-element': ['fast.txt'],
  '@microsoft/fast-foundation': ['fast.txt'],
  '@microsoft/fast-web-utilities': ['fast.txt'],
  'onnx-buf': ['onnx-buf.txt'],
  'onnxruntime-common': ['onnxruntime-LICENSE.txt'],
  // With what is compiled into its binaries.
  'onnxruntime-node': ['onnxruntime-LICENSE.txt', 'onnxruntime-ThirdPartyNotices.txt'],
};
const TEXT_NAME = /^(?:licen[cs]e|copying|notices?|third-?party-?notices)(?:\.(?:md|txt))?$/i;

/** Folders of the packages that are inside, relative to this one, sorted. @param files of the VSIX */
export function packagesIn(files: readonly string[]): string[] {
  const bundles = files.filter((file) => /^dist\/[^/]+\.(?:[cm]?js|css)$/.test(file));
  const sources = bundles.flatMap((file) => {
    const map: { sources: string[] } = JSON.parse(readFileSync(path.join(root, `${file}.map`), 'utf8'));
    return map.sources.map((source) => path.posix.join(path.posix.dirname(file), source));
  });
  const folders = [...files, ...sources].flatMap(
    (file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [],
  );
  return [...new Set(folders)].sort();
}

/** All licence texts, one package after the other; equal texts of one package in two places once. */
export function noticesOf(folders: readonly string[]): string {
  const parts = new Map<string, string>();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(
      readFileSync(path.join(root, folder, 'package.json'), 'utf8'),
    );
    const texts = (OWN_TEXTS[name] ?? []).map((file) => path.join(root, 'notices', file));
    const shipped = readdirSync(path.join(root, folder)).filter((file) => TEXT_NAME.test(file));
    texts.push(...shipped.sort().map((file) => path.join(root, folder, file)));
    if (texts.length === 0)
      throw new Error(`${name} has no licence text: add one to notices/ and name it in notices.ts`);
    const text = texts.map((file) => readFileSync(file, 'utf8').replaceAll('\r\n', '\n').trim()).join('\n\n');
    parts.set(`${name} ${version}`, `${name} ${version} (${license})\n\n${text}`);
  }
  const rule = `\n\n${'='.repeat(80)}\n\n`;
  const head = 'Circuit Amplifier contains the following software of others, under the licences that follow.';
  return `${[head, [...parts.keys()].join('\n'), ...parts.values()].join(rule)}\n`;
}
