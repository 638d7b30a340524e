import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { choice, repeated, required } from '../options.ts';
import { existingPath, file, folder, newFolder, newPath } from '../paths.ts';
import { modelOptions, PAIR_SOURCES, scale } from './common.ts';

const model = required(folder('Hugging Face folder of the model'));
const patch = repeated(file('patch of `cca amplify` (may be repeated: patches are stacked)'));

export const apply = command({
  name: 'apply',
  summary: 'write a checkpoint with a patch applied',
  details: `The base model's hash is checked; tensors that the patch does not touch stay
byte-identical.

  cca apply --model my-model --patch runs/first/patch.safetensors \\
      --out my-model-amplified`,
  arguments: {},
  options: {
    model,
    patch: required(patch),
    scale,
    out: required(newFolder('folder for the new checkpoint')),
  },
});

export const revert = command({
  name: 'revert',
  summary: 'take a patch out of a checkpoint again, bit for bit',
  details: `The patch holds the rows as they were before. Patches and scale as they were
applied.

  cca revert --model my-model-amplified --out restored \\
      --patch runs/first/patch.safetensors`,
  arguments: {},
  options: {
    model,
    patch: required(patch),
    scale,
    out: required(newFolder('folder for the restored checkpoint')),
  },
});

const NEEDS = {
  checkpoint: ['patch'],
  peft: ['patch'],
  dpo: ['pairs'],
  pts: ['pairs'],
} as const;

export const exportCommand = command({
  name: 'export',
  summary: 'write a patch as a checkpoint or PEFT adapter, or pairs as DPO or PTS files',
  details: `  checkpoint  a full Hugging Face folder with the patch applied
  peft        an exact LoRA adapter of the same change (adapter_config.json,
              adapter_model.safetensors)
  dpo         preference pairs: prompt, chosen, rejected (JSONL)
  pts         pivotal tokens in the format of PTS (JSONL); prob_before is the
              desired token's probability against the undesired one

  cca export --format peft --model my-model \\
      --patch runs/first/patch.safetensors --out adapter
  cca export --format dpo --model my-model \\
      --pairs runs/first/pairs.jsonl --out dpo.jsonl`,
  arguments: {},
  options: {
    format: choice('what to write', ['checkpoint', 'peft', 'dpo', 'pts'], 'checkpoint'),
    ...modelOptions,
    patch,
    scale,
    pairs: existingPath(`${PAIR_SOURCES} (dpo, pts)`),
    traces: file('traces of the pairs, for the prompts in pivots (default: traces.jsonl beside the pairs)'),
    out: required(newPath('folder (checkpoint, peft) or file (dpo, pts) to write')),
  },
  validate: (values, given) => {
    const missing = NEEDS[values.format].find((key) => !given.has(key));
    if (missing) throw new InputError('--format', `${values.format} needs --${missing}`, `Add --${missing}.`);
  },
});
