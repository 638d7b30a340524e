import type { CircuitView } from '../../server/protocol/circuit.ts';

/** What colours the components. */
export type Lens = 'mask' | 'attribution' | 'change';
export const lenses: readonly Lens[] = ['mask', 'attribution', 'change'];

/** Numbers of all components in flat order, and how their sign and size are to be read. */
export interface Layer {
  values: Float32Array;
  /** Negative values help, positive ones hurt; otherwise all are 0 or more and more is stronger. */
  signed: boolean;
  /** Size that takes the strongest colour. */
  max: number;
  /** Sizes below the strongest are raised by this power, so that a heavy tail still shows differences. */
  power: number;
}

/** Little-endian Float32 numbers from base64. @throws Error where there are not `size` of them */
export function decodeFloats(base64: string, size: number): Float32Array {
  const bytes = decodeBytes(base64);
  if (bytes.length !== 4 * size) {
    throw new Error(`${bytes.length / 4} values came for ${size} components`);
  }
  return new Float32Array(bytes.buffer);
}

/** Browsers that can decode into bytes are many times faster at it than the way by text. */
const native = Uint8Array as { fromBase64?(base64: string): Uint8Array<ArrayBuffer> };

function decodeBytes(base64: string): Uint8Array<ArrayBuffer> {
  if (native.fromBase64) return native.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A mask's values lie in [0, 1] and are shown as they are; scores and changes by the root of their share of the largest. */
export function makeLayer(lens: Lens, values: Float32Array, method: CircuitView['method']): Layer {
  if (lens === 'mask' && method === 'dcm') return { values, signed: false, max: 1, power: 1 };
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i]!) || 0);
  return { values, signed: lens === 'attribution', max: max || 1, power: 0.5 };
}

/** How strongly a component is in favour: more is stronger; negative ones hurt. */
export const strength = (layer: Layer, position: number): number =>
  layer.signed ? -layer.values[position]! : layer.values[position]!;

/** Colour of a value: 0 none to 1 strongest, negative where it hurts. */
export function intensity(layer: Layer, value: number): number {
  const size = Math.min(1, Math.abs(value) / layer.max) ** layer.power;
  return layer.signed && value > 0 ? -size : size;
}

/** Three significant digits, with a true minus sign. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 1e-3 && size < 1e5 ? String(Number(size.toPrecision(3))) : size.toExponential(1);
  return value < 0 ? `−${text}` : text;
}

/** For columns of figures: three decimals, with a true minus sign. */
export const fixed = (value: number): string =>
  Math.abs(value) >= 5e-4 || value === 0
    ? `${value < 0 ? '−' : ''}${Math.abs(value).toFixed(3)}`
    : figure(value);

/** Position of the range's strongest component: the largest value, or the largest in size where values have signs. */
export function strongest(layer: Layer, first: number, length: number): number {
  let best = first;
  let size = -1;
  for (let i = first; i < first + length; i++) {
    const value = Math.abs(layer.values[i]!);
    if (value > size) {
      size = value;
      best = i;
    }
  }
  return best;
}
