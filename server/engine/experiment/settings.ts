import { InputError } from '../../errors.ts';
import {
  type AmplifySettings,
  defaultSettings,
  type EvaluateSettings,
  type GenerateSettings,
  type LocalizeSettings,
  type MaskSettings,
  paperSettings,
  referenceSettings,
  type Settings,
  type VariantSettings,
} from '../../pipeline/settings.ts';

/** This product's recipe, the paper's exact one, or that of the reference code with its quirks. */
export const PRESETS = ['default', 'paper', 'reference'] as const;
export type Preset = (typeof PRESETS)[number];

type Fields<T> = T extends unknown ? keyof T : never;
type FieldOf<T, K extends PropertyKey> = T extends Record<K, infer V> ? V : never;

/** Settings that take the place of a preset's. */
export interface SettingsOverrides {
  generate?: Omit<Partial<GenerateSettings>, 'stop'> & { stop?: Partial<GenerateSettings['stop']> };
  localize?: Partial<LocalizeSettings>;
  /** Fields of either selection; those of the other one are refused. */
  mask?: { [K in Exclude<Fields<MaskSettings>, 'seed'>]?: FieldOf<MaskSettings, K> };
  amplify?: Omit<Partial<AmplifySettings>, 'guard'> & { guard?: Partial<AmplifySettings['guard']> };
  variants?: { [K in keyof VariantSettings]?: Partial<VariantSettings[K]> };
  evaluate?: Omit<Partial<EvaluateSettings>, 'stop'> & { stop?: Partial<EvaluateSettings['stop']> };
}

export const presetSettings: Record<Preset, Settings> = {
  default: defaultSettings,
  paper: paperSettings,
  reference: referenceSettings,
};

/**
 * A preset with some settings of one's own.
 * @throws InputError for mask settings that do not go together
 */
export function resolveSettings(preset: Preset, overrides: SettingsOverrides = {}): Settings {
  const resolved = layered(preset, overrides);
  const { amplify } = resolved;
  if (amplify.weights === 'float16' && amplify.optimizer !== 'sgd') {
    const what = `weights are kept in float16, and the optimizer is ${amplify.optimizer}`;
    throw new InputError('settings.amplify', what, 'Choose optimizer sgd, or weights float32.');
  }
  return resolved;
}

function layered(preset: Preset, overrides: SettingsOverrides): Settings {
  const base = presetSettings[preset];
  const { generate, localize, mask, amplify, evaluate, variants } = overrides;
  return {
    generate: { ...base.generate, ...generate, stop: { ...base.generate.stop, ...generate?.stop } },
    localize: { ...base.localize, ...localize },
    mask: resolveMask(preset, mask ?? {}),
    amplify: { ...base.amplify, ...amplify, guard: { ...base.amplify.guard, ...amplify?.guard } },
    evaluate: { ...base.evaluate, ...evaluate, stop: { ...base.evaluate.stop, ...evaluate?.stop } },
    variants: {
      paper: { ...base.variants.paper, ...variants?.paper },
      all: { ...base.variants.all, ...variants?.all },
      lora: { ...base.variants.lora, ...variants?.lora },
      full: { ...base.variants.full, ...variants?.full },
    },
  };
}

function resolveMask(preset: Preset, mask: NonNullable<SettingsOverrides['mask']>): MaskSettings {
  const select = mask.select ?? presetSettings[preset].mask.select;
  const base = maskBase(preset, select);
  const stray = Object.keys(mask).find((key) => !(key in base));
  if (stray !== undefined) {
    const other = select === 'fisher' ? 'dcm' : 'fisher';
    throw new InputError(
      'settings.mask',
      `${stray} has no meaning with select ${select}`,
      `Choose select ${other}.`,
    );
  }
  // One of the two decides the size: a given lambda takes the place of the preset's budget.
  const size =
    select === 'dcm' && mask.lambda !== undefined && mask.budget === undefined ? { budget: null } : {};
  if (mask.lambda !== undefined && typeof mask.budget === 'number') {
    throw new InputError('settings.mask', 'has both a lambda and a budget', 'Give one of them.');
  }
  return { ...base, ...mask, ...size } as MaskSettings;
}

/** Where a selection starts from: as the preset has it, else the other preset's with this one's size. */
function maskBase(preset: Preset, select: MaskSettings['select']): MaskSettings {
  const own = presetSettings[preset].mask;
  if (own.select === select) return own;
  const other = presetSettings[preset === 'default' ? 'paper' : 'default'].mask;
  // The same number of components makes two selections comparable.
  return own.select === 'fisher' ? ({ ...other, budget: own.budget } as MaskSettings) : other;
}
