/** Element types of safetensors and exact conversions between the 16-bit floats and float32. */

/** Bytes per element of each dtype that the safetensors format defines with whole bytes. */
const DTYPE_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type Dtype = keyof typeof DTYPE_BYTES;
/** The dtypes that weights may have. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(DTYPE_BYTES, name);
}

export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** Bytes per element. */
export function dtypeBytes(dtype: Dtype): number {
  return DTYPE_BYTES[dtype];
}

const floatOf = new Float32Array(1);
const bitsOf = new Uint32Array(floatOf.buffer);

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** All 65,536 half-precision values: a look-up is several times faster than the arithmetic. Made on first use. */
let halfTable: Float32Array | undefined;

/**
 * Widens raw little-endian elements to float32, exactly.
 * @param bytes 2 or 4 bytes per element, any alignment
 * @param out receives the values from `at` on
 */
export function widenInto(bytes: Uint8Array, dtype: FloatDtype, out: Float32Array, at = 0): void {
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset + 4 * at, bytes.byteLength).set(bytes);
    return;
  }
  const source = asUint16(bytes);
  if (dtype === 'BF16') {
    const bits = new Uint32Array(out.buffer, out.byteOffset + 4 * at, source.length);
    for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
    return;
  }
  if (!halfTable) {
    halfTable = new Float32Array(65536);
    for (let i = 0; i < 65536; i++) halfTable[i] = halfToFloat(i);
  }
  for (let i = 0; i < source.length; i++) out[at + i] = halfTable[source[i]!]!;
}

/** Raw little-endian elements as float32 values. */
export function toFloat32(bytes: Uint8Array, dtype: FloatDtype): Float32Array {
  const out = new Float32Array(bytes.byteLength / dtypeBytes(dtype));
  widenInto(bytes, dtype, out);
  return out;
}

/**
 * Float32 values as raw little-endian elements of `dtype`, rounded to nearest, ties to even (as PyTorch's casts).
 * Values beyond float16's range become infinite.
 */
export function fromFloat32(values: Float32Array, dtype: FloatDtype): Uint8Array {
  if (dtype === 'F32') {
    return new Uint8Array(values.buffer.slice(values.byteOffset, values.byteOffset + values.byteLength));
  }
  const out = new Uint16Array(values.length);
  const round = dtype === 'BF16' ? floatToBfloat : floatToHalf;
  for (let i = 0; i < values.length; i++) out[i] = round(values[i]!);
  return new Uint8Array(out.buffer);
}

function floatToBfloat(value: number): number {
  floatOf[0] = value;
  const bits = bitsOf[0]!;
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40; // NaN stays NaN
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function floatToHalf(value: number): number {
  floatOf[0] = value;
  const bits = bitsOf[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(floatOf[0]!);
  if (Number.isNaN(magnitude)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00; // half-way between the largest half (65504) and 2^16 rounds up
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24); // subnormal; may carry into normal
  const exponent = ((bits >>> 23) & 0xff) - 127;
  // exponent and fraction form one integer, so that a fraction that rounds up carries into the exponent
  return sign | (((exponent + 14) << 10) + roundHalfEven((magnitude / 2 ** exponent) * 1024));
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** A 16-bit view, copied only when the bytes are not aligned for one. */
export function asUint16(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 1);
}

/** A 32-bit view, copied only when the bytes are not aligned for one. */
export function asUint32(bytes: Uint8Array): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}
