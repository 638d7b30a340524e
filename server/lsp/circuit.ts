/** Requests about a run's circuit: its mask, attributions, what components are for, selections by hand. */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { readConfig } from '../checkpoint/config.ts';
import type { ModelConfig } from '../checkpoint/model-config.ts';
import type { Pair } from '../data/records.ts';
import { readAnyPairs } from '../engine/inputs/pairs.ts';
import { InputError } from '../errors.ts';
import {
  attributed,
  hashPairs,
  readAttribution,
  type StoredAttribution,
} from '../inspect/attribution-file.ts';
import { servedTogether } from '../inspect/purpose.ts';
import { type MaskFile, makeMaskFile, readMaskFile } from '../mask/mask-file.ts';
import { architectureOf } from '../model/architectures/index.ts';
import { type ComponentKind, ComponentSpace, componentKinds } from '../model/components.ts';
import * as protocol from '../protocol/circuit.ts';
import * as panel from '../protocol/panel.ts';
import { writeFileAtomic } from '../runs/atomic.ts';
import { ATTRIBUTION_NAME } from '../runs/folder.ts';
import { type Manifest, readManifest } from '../runs/manifest.ts';
import type { ParamsOf } from './answers.ts';
import * as check from './check.ts';
import { labelOf } from './component-label.ts';
import { experimentOf } from './experiment-files.ts';
import { Remembered } from './remembered.ts';
import { modelRef, type Services } from './services.ts';
import { trainingSettings } from './training-settings.ts';

const SELECTIONS = 'selections';
/** Related pairs that are told of a kind. */
const RELATED = 50;
/** A selection's name is a file's name. */
const NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,79}$/u;

interface OpenCircuit {
  run: string;
  manifest: Manifest & { model: NonNullable<Manifest['model']> };
  config: ModelConfig;
  space: ComponentSpace;
}

/** @throws InputError for a folder that is no run's, or whose model is not there any more, or may not be looked at */
function openCircuit(run: string, services: Pick<Services, 'mayRead'>): OpenCircuit {
  const root = path.resolve(run);
  const manifest = readManifest(root);
  if (!manifest?.model) throw new InputError(root, 'is not the folder of a run', 'Choose a run.');
  if (!services.mayRead(manifest.model.path)) {
    const what = 'lies outside the workspace, which is not trusted';
    throw new InputError(manifest.model.path, what, 'Trust the workspace to go on.');
  }
  const config = readConfig(manifest.model.path);
  const space = new ComponentSpace(config);
  return { run: root, manifest: { ...manifest, model: manifest.model }, config, space };
}

export function answerCircuit(services: Services): void {
  const { answers, engine } = services;
  const changes = new Remembered<Float32Array>(4);

  answers.on(protocol.open, runOnly, async ({ run }): Promise<protocol.CircuitView> => {
    const circuit = openCircuit(run, services);
    const { config, manifest, space } = circuit;
    const mask = readMask(circuit, path.join(circuit.run, 'mask.json'));
    const patch = path.join(circuit.run, 'patch.safetensors');
    const pairs = await pairsOf(services, circuit);
    const attribution = attributionOf(circuit, pairs);
    const change =
      services.options.trusted && existsSync(patch)
        ? await changes.get(`${patch}@${statSync(patch).mtimeMs}`, () =>
            engine.call('componentChange', {
              model: manifest.model.path,
              patches: [{ file: patch, scale: 1 }],
            }),
          )
        : null;
    return {
      run: circuit.run,
      name: path.basename(circuit.run),
      experiment: await experimentOf(services, circuit.run),
      shape: {
        layers: config.numLayers,
        heads: config.numHeads,
        kvHeads: config.numKvHeads,
        neurons: config.intermediateSize,
        headDim: config.headDim,
        hiddenSize: config.hiddenSize,
      },
      method: mask?.file.method ?? null,
      lambda: mask?.file.lambda ?? null,
      budget: mask?.file.budget ?? null,
      pairs: pairs.length,
      selected: mask ? space.flat(mask.circuit) : [],
      values: mask && base64(valuesOf(space, mask.file)),
      attribution: attribution && base64(attribution.mean()),
      change: change && base64(change),
    };
  });

  answers.on(
    protocol.attribute,
    check.object<ParamsOf<typeof protocol.attribute>>({
      run: check.text,
      ...check.streamed,
    }),
    async ({ run }, { signal, part }) => {
      const circuit = openCircuit(run, services);
      const ref = modelRef(circuit.manifest.model.path, services.options);
      const params = { model: ref, run: circuit.run };
      const { mean, pairs } = await engine.callOn('attributeRun', ref, params, {
        signal,
        onEvent: ({ done, total }) => part({ done, total }),
      });
      return { attribution: base64(mean), pairs };
    },
    { needsTrust: true },
  );

  answers.on(
    protocol.purpose,
    check.object<ParamsOf<typeof protocol.purpose>>({ run: check.text, component: check.count }),
    async ({ run, component }, { signal }): Promise<protocol.Purpose> => {
      const circuit = openCircuit(run, services);
      const { space, manifest } = circuit;
      if (component >= space.size) {
        const what = `the model has components 0 .. ${space.size - 1}`;
        throw new InputError(`component ${component}`, what, 'Choose one of them.');
      }
      const mask = readMask(circuit, path.join(circuit.run, 'mask.json'));
      const pairs = await pairsOf(services, circuit);
      const attribution = attributionOf(circuit, pairs);
      const patch = path.join(circuit.run, 'patch.safetensors');
      const rows = await engine.call(
        'componentRows',
        {
          model: manifest.model.path,
          component,
          patches: existsSync(patch) ? [{ file: patch, scale: 1 }] : [],
        },
        { signal },
      );
      return {
        component,
        label: labelOf(space.at(component)),
        mask: mask ? valuesOf(space, mask.file)[component]! : null,
        gradient: attribution ? attribution.mean()[component]! : null,
        served:
          attribution?.served(component).map(({ pair, gradient }) => ({
            ...trainingPair(services, circuit, pairs[pair]!),
            gradient,
          })) ?? null,
        rows,
      };
    },
    { needsTrust: true },
  );

  answers.on(
    protocol.relatedPairs,
    check.object<ParamsOf<typeof protocol.relatedPairs>>({
      run: check.text,
      template: check.nullable(check.text),
      components: check.list(
        check.object<{ component: number; gradient: number }>({
          component: check.count,
          gradient: check.real,
        }),
      ),
    }),
    async ({ run, template, components }) => {
      const circuit = openCircuit(run, services);
      const pairs = await pairsOf(services, circuit);
      const attribution = attributionOf(circuit, pairs);
      const known = components.filter(({ component }) => component < circuit.space.size);
      const shown = (pair: Pair) => trainingPair(services, circuit, pair);
      const same = template === null ? null : pairs.filter((pair) => pair.template_id === template);
      return {
        template: same && { count: same.length, pairs: same.slice(0, RELATED).map(shown) },
        served:
          attribution &&
          servedTogether(attribution, known)
            .slice(0, RELATED)
            .map(({ pair, agreement }) => ({ ...shown(pairs[pair]!), agreement })),
      };
    },
  );

  answers.on(panel.trainingSettings, runOnly, ({ run }) => trainingSettings(run));

  answers.on(
    protocol.saveSelection,
    check.object<ParamsOf<typeof protocol.saveSelection>>({
      run: check.text,
      name: check.text,
      selected: check.list(check.count),
    }),
    ({ run, name, selected }) => saveSelection(openCircuit(run, services), name, selected),
  );
  answers.on(protocol.selections, runOnly, ({ run }) => listSelections(openCircuit(run, services)));
  answers.on(
    protocol.removeSelection,
    check.object<ParamsOf<typeof protocol.removeSelection>>({ run: check.text, name: check.text }),
    ({ run, name }) => {
      const file = selectionFile(path.resolve(run), name);
      if (!existsSync(file)) throw new InputError(file, 'is not there any more', 'Look at the list again.');
      rmSync(file, { force: true });
      return null;
    },
  );
}

const runOnly = check.object<{ run: string }>({ run: check.text });

const base64 = (values: Float32Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');

/** A mask file of the run's model; null where there is none. */
function readMask({ manifest, config }: OpenCircuit, file: string): ReturnType<typeof readMaskFile> | null {
  return existsSync(file) ? readMaskFile(file, config, manifest.model.hash) : null;
}

/** Every component's value of a mask file, flat; 0 where the file has none. */
function valuesOf(space: ComponentSpace, { values }: MaskFile): Float32Array {
  const flat = new Float32Array(space.size);
  values?.forEach((layer, l) => {
    for (const kind of componentKinds) flat.set(layer[kind as ComponentKind] ?? [], space.offset(kind, l));
  });
  return flat;
}

/** The pairs that an attribution of the run is over. */
async function pairsOf({ tokenizers }: Services, { run, config, manifest }: OpenCircuit): Promise<Pair[]> {
  if (!existsSync(path.join(run, 'pairs.jsonl'))) return [];
  const tokenizer = tokenizers.find(manifest.model.path);
  if (!tokenizer) return [];
  try {
    return attributed(await readAnyPairs({ config, tokenizer } as never, run));
  } catch (error) {
    // None yet, or all rejected.
    if (error instanceof InputError) return [];
    throw error;
  }
}

function trainingPair(
  { tokenizers }: Services,
  { manifest }: OpenCircuit,
  pair: Pair,
): protocol.TrainingPair {
  const tokenizer = tokenizers.get(manifest.model.path);
  return {
    pair: pair.id,
    problem: pair.problem_id ?? '',
    desired: tokenizer.tokenText(pair.desired),
    undesired: tokenizer.tokenText(pair.undesired),
    trace: pair.trace ?? null,
    token: pair.prefix.length,
  };
}

function attributionOf(
  { run, manifest, space }: OpenCircuit,
  pairs: readonly Pair[],
): StoredAttribution | null {
  const stored = readAttribution(path.join(run, ATTRIBUTION_NAME));
  if (!stored || stored.model !== manifest.model.hash || stored.size !== space.size) return null;
  return stored.pairs === hashPairs(pairs) ? stored : null;
}

/** @throws InputError for a name that no file system takes, or one that leads elsewhere */
function selectionFile(run: string, name: string): string {
  if (!NAME.test(name)) {
    throw new InputError(
      `the name "${name}"`,
      'cannot be that of a file',
      'Use letters, digits, spaces, dots and dashes.',
    );
  }
  return path.join(run, SELECTIONS, `${name}.json`);
}

function saveSelection(
  { run, space, config, manifest }: OpenCircuit,
  name: string,
  selected: readonly number[],
): protocol.Selection {
  const stray = selected.find((component) => component >= space.size);
  if (stray !== undefined) {
    throw new InputError(
      `component ${stray}`,
      `the model has components 0 .. ${space.size - 1}`,
      'Choose one of them.',
    );
  }
  if (selected.length === 0) throw new InputError('the selection', 'is empty', 'Select a component first.');
  const chosen = new Set(selected);
  const file = selectionFile(run, name);
  const values = Float32Array.from({ length: space.size }, (_, i) => (chosen.has(i) ? 1 : 0));
  const mask = makeMaskFile(
    space,
    space.circuit((i) => chosen.has(i)),
    values,
    {
      model: manifest.model.hash,
      method: 'human',
      gate_point: architectureOf(config).gatePoint,
      lambda: null,
      budget: null,
      seed: 0,
      trials: [],
    },
  );
  writeFileAtomic(file, `${JSON.stringify(mask)}\n`);
  return { name, file, selected: [...chosen].sort((a, b) => a - b) };
}

function listSelections(circuit: OpenCircuit): { selections: protocol.Selection[]; problems: string[] } {
  const folder = path.join(circuit.run, SELECTIONS);
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith('.json'))
        .sort()
    : [];
  const selections: protocol.Selection[] = [];
  const problems: string[] = [];
  for (const name of names) {
    const file = path.join(folder, name);
    try {
      const { circuit: chosen } = readMask(circuit, file)!;
      selections.push({ name: path.basename(name, '.json'), file, selected: circuit.space.flat(chosen) });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push(error.message);
    }
  }
  return { selections, problems };
}
