/**
 * A patch as a PEFT LoRA adapter, exactly: k changed rows of a matrix are a rank-k update W + B A with
 * B [out, k] one-hot and A [k, in] the row differences (for columns A is one-hot and B holds the differences). alpha =
 * rank makes the scaling 1; rank_pattern and alpha_pattern give each matrix its own.
 */
import path from 'node:path';
import { fromFloat32, toFloat32 } from '../checkpoint/dtype.ts';
import { type TensorToWrite, writeSafetensors } from '../checkpoint/safetensors-write.ts';
import { InputError } from '../errors.ts';
import { writeFileAtomic } from '../runs/atomic.ts';
import { makeFolder } from './out-folder.ts';
import { lineWidth, type Patch, type PatchEntry } from './patch.ts';

const LINEAR = /^(model\.layers\.\d+\.(?:self_attn|mlp)\.[a-z_]+_proj|lm_head)\.weight$/;

/**
 * Writes adapter_config.json and adapter_model.safetensors. Differences are stored in float32: between 16-bit values
 * they are exact (unless their exponents are more than a mantissa apart), so base + adapter equals the merged
 * checkpoint to float32 rounding.
 * @param options.baseModel recorded as base_model_name_or_path (folder or hub id of the base)
 * @param out a new folder
 * @throws InputError for a patch that changes nothing, or matrices that are not linear layers
 */
export async function exportPeft(
  patch: Patch,
  out: string,
  options: { baseModel?: string } = {},
): Promise<void> {
  if (patch.entries.length === 0) {
    throw new InputError('patch', 'it changes nothing', 'Export a patch with changed rows');
  }
  const ranks: Record<string, number> = {};
  const tensors: TensorToWrite[] = [];
  for (const entry of patch.entries) {
    const name = moduleName(entry);
    const rank = entry.indices.length;
    const [rows, columns] = entry.shape;
    const [a, b] = factors(entry);
    ranks[name] = rank;
    tensors.push(weight(`base_model.model.${name}.lora_A.weight`, [rank, columns], a));
    tensors.push(weight(`base_model.model.${name}.lora_B.weight`, [rows, rank], b));
  }
  const config = adapterConfig(ranks, options.baseModel ?? '');
  await makeFolder(out, null, (temporary) => {
    writeSafetensors(path.join(temporary, 'adapter_model.safetensors'), tensors, { format: 'pt' });
    writeFileAtomic(path.join(temporary, 'adapter_config.json'), `${JSON.stringify(config, null, 2)}\n`);
  });
}

function moduleName(entry: PatchEntry): string {
  const name = LINEAR.exec(entry.tensor)?.[1];
  if (name) return name;
  throw new InputError(
    `patch of ${entry.tensor}`,
    'a LoRA adapter holds linear layers only',
    'Apply the patch to the checkpoint instead',
  );
}

/** A [k, in] and B [out, k] with W_new = W_old + B A. */
function factors(entry: PatchEntry): [a: Float32Array, b: Float32Array] {
  const rank = entry.indices.length;
  const [rows, columns] = entry.shape;
  const width = lineWidth(entry);
  const old = toFloat32(entry.oldRows, entry.dtype);
  const delta = toFloat32(entry.newRows, entry.dtype).map((value, i) => value - old[i]!);
  if (entry.axis === 0) {
    const b = new Float32Array(rows * rank);
    entry.indices.forEach((row, j) => {
      b[row * rank + j] = 1;
    });
    return [delta, b];
  }
  const a = new Float32Array(rank * columns);
  const b = new Float32Array(rows * rank);
  entry.indices.forEach((column, j) => {
    a[j * columns + column] = 1;
    for (let r = 0; r < rows; r++) b[r * rank + j] = delta[j * width + r]!;
  });
  return [a, b];
}

function weight(name: string, shape: readonly number[], values: Float32Array): TensorToWrite {
  return { name, dtype: 'F32', shape, data: fromFloat32(values, 'F32') };
}

/** Fields of peft.LoraConfig. Module names are given in full, so each pattern matches one module. */
function adapterConfig(ranks: Readonly<Record<string, number>>, baseModel: string) {
  const largest = Math.max(...Object.values(ranks));
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseModel,
    inference_mode: true,
    r: largest,
    lora_alpha: largest,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: false,
    init_lora_weights: true,
    modules_to_save: null,
    target_modules: Object.keys(ranks),
    rank_pattern: ranks,
    alpha_pattern: ranks,
  };
}
