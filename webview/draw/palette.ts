/** The theme's colours as a canvas takes them. */
export interface Palette {
  /** Fills from nothing to strongest. */
  ramp: readonly string[];
  /** The same for values that hurt. */
  hurt: readonly string[];
  edge: string;
  ring: string;
  gap: string;
  added: string;
  removed: string;
  pivot: string;
}

export type Hue = 'mask' | 'help' | 'change';

type Rgb = readonly [number, number, number, number];

/** Shades from nothing to strongest. */
const STEPS = 24;

/** The four channels of a colour in any syntax that the browser reads: it draws one pixel of it. */
function channels(css: string, context: CanvasRenderingContext2D): Rgb {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = css;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r!, g!, b!, a!];
}

function mix(from: Rgb, to: Rgb, share: number): string {
  const at = (i: 0 | 1 | 2) => Math.round(from[i] + (to[i] - from[i]) * share);
  return `rgb(${at(0)} ${at(1)} ${at(2)})`;
}

/** Resolves the style sheet's custom properties, which are made of the theme's. */
export function readPalette(host: HTMLElement, hue: Hue): Palette {
  const probe = document.createElement('span');
  host.append(probe);
  const pixel = document.createElement('canvas');
  pixel.width = pixel.height = 1;
  const context = pixel.getContext('2d', { willReadFrequently: true })!;
  const read = (name: string): Rgb => {
    probe.style.color = `var(${name})`;
    return channels(getComputedStyle(probe).color, context);
  };
  const css = (name: string): string => {
    const [r, g, b, a] = read(name);
    return `rgb(${r} ${g} ${b} / ${a / 255})`;
  };
  const none = read('--cell-none');
  const ramp = (name: string) => {
    const full = read(name);
    return Array.from({ length: STEPS + 1 }, (_, i) => mix(none, full, i / STEPS));
  };
  const palette = {
    ramp: ramp(`--hue-${hue}`),
    hurt: ramp('--hue-hurt'),
    edge: css('--cell-edge'),
    ring: css('--cell-ring'),
    gap: css('--cell-gap'),
    added: css('--mark-added'),
    removed: css('--mark-removed'),
    pivot: css('--mark-pivot'),
  };
  probe.remove();
  return palette;
}

export const shade = ({ ramp, hurt }: Palette, intensity: number): string =>
  intensity < 0 ? hurt[Math.round(-intensity * STEPS)]! : ramp[Math.round(intensity * STEPS)]!;
