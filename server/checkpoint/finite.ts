/** Looking for NaN and infinity in the weights. */
import { InputError } from '../errors.ts';
import { asUint16, asUint32, type Dtype } from './dtype.ts';
import type { TensorInfo } from './safetensors.ts';

/**
 * Looks for NaN and infinity by the exponent bits (all ones).
 * @param bytes a part of the tensor
 * @param before elements of the tensor in front of it
 * @throws InputError naming the file, the tensor and the index of the first bad element
 */
export function assertFinite(info: TensorInfo, bytes: Uint8Array, before: number): void {
  const at = firstNonFinite(bytes, info.dtype);
  if (at < 0) return;
  throw new InputError(
    `${info.path} tensor ${JSON.stringify(info.name)}`,
    `element [${unravel(before + at, info.shape)}] is NaN or infinite`,
    'The checkpoint is damaged: download it again',
  );
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
