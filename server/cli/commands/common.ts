import { InputError } from '../../errors.ts';
import { integer } from '../numbers.ts';
import { choice, repeated, required, toggle } from '../options.ts';
import { file, folder, namedFile, newFolder } from '../paths.ts';

/** Where the model is and what runs it. */
export const modelOptions = {
  model: required(folder('Hugging Face folder of the model (config.json, tokenizer.json, safetensors)')),
  device: choice('where the model runs', ['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'], 'auto'),
  threads: integer('N', 'CPU threads', { min: 1, max: 1024, fallbackText: 'one per core' }),
};

/** Where a stage keeps its work, and from which seed. */
export const runOptions = {
  out: required(newFolder('run folder; finished work in it is kept and gone on from')),
  seed: integer('N', 'seed of everything random', { min: 0, max: 4_294_967_295, fallback: 0 }),
  resume: toggle('go on from finished work in --out (this is the default)'),
  fresh: toggle('delete what earlier runs of this command left in --out and start over'),
};

export const problemOptions = {
  problems: required(file('problems: JSONL (own, GSM8K or GSM-Symbolic)')),
  limit: integer('N', 'take only the first N problems', { min: 1, fallbackText: 'all' }),
};

export const controlOptions = {
  controls: repeated(
    namedFile(
      'control suite that must not suffer: JSONL with answer or choices, or MMLU, TriviaQA, TruthfulQA files',
    ),
  ),
};

export function refuseResumeWithFresh({ resume, fresh }: { resume: boolean; fresh: boolean }): void {
  if (resume && fresh) throw new InputError('--resume', 'excludes --fresh', 'Give one of them.');
}
