/** What is wrong with an experiment file beyond its JSON schema, which the editor checks by itself. */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNodeAtLocation, getNodeValue, type Node, parseTree } from 'jsonc-parser';
import { type Diagnostic, DiagnosticSeverity } from 'vscode-languageserver/node';
import type { TextDocument } from 'vscode-languageserver-textdocument';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import { checkExperiment } from '../engine/experiment/experiment.ts';
import { InputError } from '../errors.ts';
import { isExperimentName } from './experiment-files.ts';
import type { Services } from './services.ts';

const SOURCE = 'Circuit Amplifier';
/** Fields that hold paths of things that must be there; a list is of alternatives or items. */
const PATHS: readonly (readonly (string | number)[])[] = [
  ['model'],
  ['problems'],
  ['problems', 'train'],
  ['problems', 'val'],
  ['problems', 'test'],
  ['problems', 'unseen'],
  ['problems', 'templates'],
  ['controls'],
  ['controls', 'test'],
  ['controls', 'guard'],
  ['text'],
  ['fewShot'],
  ['from'],
  ['pairs'],
  ['circuit'],
];

/** By its name, or by the schema that it names. */
export function isExperiment(source: Pick<TextDocument, 'uri' | 'languageId' | 'getText'>): boolean {
  if (!/^jsonc?$/.test(source.languageId)) return false;
  if (isExperimentName(source.uri)) return true;
  return /"\$schema"\s*:\s*"[^"]*experiment\.schema\.json"/.test(source.getText().slice(0, 2000));
}

export function experimentDiagnostics(
  source: TextDocument,
  services: Pick<Services, 'options' | 'mayRead'>,
): Diagnostic[] {
  const file = source.uri.startsWith('file:') ? fileURLToPath(source.uri) : null;
  const tree = parseTree(source.getText());
  // What is no JSON the editor's own checks report.
  if (file === null || tree?.type !== 'object') return [];
  const value: unknown = getNodeValue(tree);
  const found: (Diagnostic & { message: string })[] = [];
  const missing: string[] = [];
  const add = (node: Node | undefined, message: string) => {
    const { offset, length } = node ?? tree;
    const range = { start: source.positionAt(offset), end: source.positionAt(offset + (node ? length : 1)) };
    found.push({ range, severity: DiagnosticSeverity.Error, source: SOURCE, message });
  };
  for (const node of PATHS.flatMap((place) => pathsAt(tree, place))) {
    const named = String(node.value);
    const target = path.resolve(path.dirname(file), named);
    if (!services.mayRead(target)) continue;
    if (existsSync(target)) continue;
    missing.push(target);
    add(node, `${named}: there is no such file or folder. Correct the path.`);
  }
  const model = findNodeAtLocation(tree, ['model']);
  // A checkpoint is opened in a trusted workspace alone.
  if (model?.type === 'string' && services.options.trusted) {
    const folder = path.resolve(path.dirname(file), String(model.value));
    const problem = existsSync(folder) ? modelProblem(folder) : null;
    if (problem) add(model, problem);
  }
  // Whether paths are there has been said, at their places.
  const problem = fieldProblem(
    value,
    file,
    (target) => !missing.includes(target) && services.mayRead(target),
  );
  if (problem && !found.some(({ message }) => problem.message.includes(message.split(':')[0]!))) {
    add(nodeOf(tree, problem.field), problem.message);
  }
  return found;
}

/** Nodes of strings at a place: itself, or the items of a list there (a suite has its path inside). */
function pathsAt(tree: Node, place: readonly (string | number)[]): Node[] {
  const node = findNodeAtLocation(tree, [...place]);
  if (!node) return [];
  if (node.type === 'string') return [node];
  if (node.type !== 'array') return [];
  return (node.children ?? []).flatMap((item, i) => {
    if (item.type === 'string') return [item];
    const inner = findNodeAtLocation(tree, [...place, i, 'path']);
    return inner?.type === 'string' ? [inner] : [];
  });
}

function modelProblem(folder: string): string | null {
  if (!statSync(folder).isDirectory()) return `${folder}: is a file. Give the folder of the model.`;
  try {
    openCheckpoint(folder);
    return null;
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
}

function fieldProblem(
  value: unknown,
  file: string,
  mayLook: (target: string) => boolean,
): { field: string; message: string } | null {
  try {
    checkExperiment(value, file, mayLook);
    return null;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { field: /field "([^"]*)"$/.exec(error.where)?.[1] ?? '', message: error.message };
  }
}

/** The node of a field `a.b[1].c`, or the nearest one above it that is there. */
function nodeOf(tree: Node, field: string): Node | undefined {
  const steps = field
    .split(/[.[\]]+/)
    .filter(Boolean)
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  for (let n = steps.length; n > 0; n--) {
    const node = findNodeAtLocation(tree, steps.slice(0, n));
    if (node) return node;
  }
  return undefined;
}
