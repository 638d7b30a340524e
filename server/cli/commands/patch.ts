import { InputError } from '../../errors.ts';
import { command } from '../command.ts';
import { choice, repeated, required } from '../options.ts';
import { file, folder, newFolder } from '../paths.ts';
import { scale } from './evaluate.ts';

const model = required(folder('Hugging Face folder of the model'));

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
    patch: required(repeated(file('patch of `cca amplify` (may be repeated: patches are stacked)'))),
    scale,
    out: required(newFolder('folder for the new checkpoint')),
  },
});

export const revert = command({
  name: 'revert',
  summary: 'take a patch out of a checkpoint again, bit for bit',
  details:
    '  cca revert --model my-model-amplified --out restored \\\n      --patch runs/first/patch.safetensors',
  arguments: {},
  options: {
    model,
    patch: required(file('the patch that was applied')),
    base: folder('the model before the patch, where the patch does not hold the old rows itself'),
    out: required(newFolder('folder for the restored checkpoint')),
  },
});

const NEEDS = {
  checkpoint: ['model', 'patch'],
  peft: ['model', 'patch'],
  dpo: ['model', 'pairs'],
  pts: ['model', 'pairs'],
} as const;

export const exportCommand = command({
  name: 'export',
  summary: 'write a patch as a checkpoint or PEFT adapter, or pairs as DPO or PTS files',
  details: `  checkpoint  a full Hugging Face folder with the patch applied
  peft        an exact LoRA adapter of the same change (adapter_config.json,
              adapter_model.safetensors)
  dpo         preference pairs: prompt, chosen, rejected (JSONL)
  pts         pivotal tokens in the format of PTS (JSONL)

  cca export --format peft --model my-model \\
      --patch runs/first/patch.safetensors --out adapter`,
  arguments: {},
  options: {
    format: choice('what to write', ['checkpoint', 'peft', 'dpo', 'pts'], 'checkpoint'),
    model,
    patch: file('patch of `cca amplify` (checkpoint, peft)'),
    pairs: file('pairs.jsonl of `cca localize` (dpo, pts)'),
    scale,
    out: required(newFolder('folder to write to')),
  },
  validate: (values) => {
    const missing = NEEDS[values.format].find((key) => !values[key]);
    if (missing) throw new InputError('--format', `${values.format} needs --${missing}`, `Add --${missing}.`);
  },
});
