/** Looking for NaN and infinity in the weights. */
import type { Signal } from '../control.ts';
import { Cancelled, InputError } from '../errors.ts';
import type { Checkpoint } from './checkpoint.ts';
import { asUint16, asUint32, type Dtype, dtypeBytes } from './dtype.ts';
import { tensorChunks } from './safetensors.ts';

/**
 * Scans every weight for NaN and infinity, streamed, by the exponent bits (all ones).
 * @param signal stops the scan between chunks with `Cancelled`
 * @throws InputError naming the file, the tensor and the index of the first bad element
 */
export async function assertFinite(checkpoint: Checkpoint, signal?: Signal): Promise<void> {
  for (const info of checkpoint.tensors.values()) {
    let before = 0;
    for await (const chunk of tensorChunks(info)) {
      if (signal?.aborted) throw new Cancelled();
      const at = firstNonFinite(chunk, info.dtype);
      if (at >= 0) {
        throw new InputError(
          `${info.path} tensor ${JSON.stringify(info.name)}`,
          `element [${unravel(before + at, info.shape)}] is NaN or infinite`,
          'The checkpoint is damaged: download it again',
        );
      }
      before += chunk.byteLength / dtypeBytes(info.dtype);
    }
  }
}

function firstNonFinite(bytes: Uint8Array, dtype: Dtype): number {
  if (dtype === 'F32') return firstWithBits(asUint32(bytes), 0x7f800000);
  return firstWithBits(asUint16(bytes), dtype === 'BF16' ? 0x7f80 : 0x7c00);
}

function firstWithBits(values: Uint16Array | Uint32Array, mask: number): number {
  for (let i = 0; i < values.length; i++) if ((values[i]! & mask) === mask) return i;
  return -1;
}

function unravel(flat: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (const size of [...shape].reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}
