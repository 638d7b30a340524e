import { afterEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../server/checkpoint/checkpoint.ts';
import {
  assertFits,
  bytesNeeded,
  describeNeed,
  type Footprint,
  footprint,
  LIMIT_VARIABLE,
  memoryLimit,
  type Phase,
  runPhases,
} from '../../server/engine/memory.ts';
import { InputError } from '../../server/errors.ts';
import { defaultSettings, paperSettings } from '../../server/pipeline/settings.ts';

const fixture = openCheckpoint(new URL('../fixtures/llama-bf16', import.meta.url).pathname);

/** Extents of a 1.5-billion-parameter model in 16 bits with tied embeddings. */
const large: Footprint = {
  config: {
    ...fixture.config,
    vocabSize: 151_936,
    hiddenSize: 1536,
    intermediateSize: 8960,
    numLayers: 28,
    numHeads: 12,
    numKvHeads: 2,
    headDim: 128,
  },
  stored: 3.09e9,
  parameters: 1.543e9,
  layers: 4 * 1.31e9,
  head: 4 * 0.233e9,
  matrix: 4 * 1536 * 8960,
  headMatrix: 4 * 0.233e9,
  lean: false,
};
const inFloat32: Footprint = { ...large, stored: 6.17e9, layers: 0, head: 0, matrix: 0, headMatrix: 0 };

const decode: Phase = { kind: 'decode', batch: 64, prompt: 200, completion: 256 };
const train: Phase = { kind: 'train', weights: 4e6, prefix: 456, prefixes: 40_000, text: 100, texts: 20_000 };
const full: Phase = { kind: 'baseline', rank: null, length: 456 };

const refusal = (model: Footprint, phases: Phase[], limit: number): string => {
  try {
    assertFits(model, phases, limit, 'models/big');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message;
  }
  return '';
};

describe('what a job needs', () => {
  it('is one float32 copy of 16-bit weights to decode, two to train, none of float32 files or in lean mode', () => {
    const copy = large.layers + large.head;
    const of = (model: Footprint, phase: Phase) => bytesNeeded(model, [phase]);
    expect(of(large, decode) - of(inFloat32, decode)).toBe(copy);
    expect(of(large, train) - of(inFloat32, train)).toBe(copy + large.layers);
    const lean = { ...large, lean: true };
    expect(of(lean, decode)).toBeGreaterThan(of(inFloat32, decode));
    expect(of(lean, decode) - of(inFloat32, decode)).toBeLessThan(copy / 2);
  });

  it('is that of the largest phase', () => {
    const each = [decode, train, full].map((phase) => bytesNeeded(large, [phase]));
    expect(bytesNeeded(large, [decode, train, full])).toBe(Math.max(...each));
  });

  it('does not grow with the batch beyond what decoding bounds', () => {
    const of = (batch: number) => bytesNeeded(large, [{ ...decode, batch, completion: 4000 }]);
    expect(of(8)).toBeGreaterThan(of(1));
    expect(of(4096)).toBe(of(64));
  });

  it('counts every weight twelve times where all are trained', () => {
    expect(bytesNeeded(large, [full])).toBeGreaterThan(48 * large.parameters);
  });

  it('follows from the checkpoint', () => {
    const { stored, parameters, layers, head, matrix } = footprint(fixture, false);
    const tensors = [...fixture.tensors.values()];
    expect(stored).toBe(tensors.reduce((sum, { byteLength }) => sum + byteLength, 0));
    expect(stored).toBe(2 * parameters);
    const embeddings = fixture.config.vocabSize * fixture.config.hiddenSize;
    expect(head).toBe(4 * embeddings);
    expect(layers).toBe(4 * parameters - (fixture.config.tieWordEmbeddings ? 1 : 2) * 4 * embeddings);
    expect(matrix).toBe(4 * fixture.config.hiddenSize * fixture.config.intermediateSize);
  });

  it('of a run is that of its dearest stage, less what is taken over', () => {
    const extents = {
      problems: 1000,
      prompt: 150,
      texts: 300,
      text: 60,
      scored: 150,
      pairs: null,
      given: { generate: false, localize: false, mask: false },
    };
    const doing = { variants: [], remote: false, until: null } as const;
    const of = (phases: Phase[]) => bytesNeeded(large, phases);
    const whole = runPhases(large.config, extents, defaultSettings, doing);
    expect(whole.map(({ kind }) => kind)).toEqual([
      'decode',
      'localize',
      'fisher',
      'train',
      'decode',
      'decode',
    ]);
    const first = runPhases(large.config, extents, defaultSettings, { ...doing, until: 'generate' });
    expect(of(first)).toBeLessThan(of(whole));
    const given = { generate: true, localize: true, mask: true };
    const rest = runPhases(large.config, { ...extents, given }, paperSettings, doing);
    expect(rest.map(({ kind }) => kind)).toEqual(['train', 'decode', 'decode']);
    const beside = runPhases(large.config, extents, defaultSettings, { ...doing, variants: ['full'] });
    expect(of(beside)).toBeGreaterThan(48 * large.parameters);
  });
});

describe('the check', () => {
  it('says what is needed and what there is', () => {
    expect(describeNeed(large, [decode], 21e9)).toMatch(/^memory: needs about \d+\.\d GB of 21\.0 GB$/);
    expect(describeNeed(inFloat32, [decode], 21e9)).toMatch(/ of 21\.0 GB, and maps 6\.2 GB of weights$/);
    expect(refusal(large, [decode, train], 32e9)).toBe('');
  });

  it('refuses in one line, naming the mildest option that makes it fit', () => {
    const message = refusal(large, [{ ...decode, batch: 1 }], 6e9);
    expect(message).toMatch(
      /^models\/big: needs about \d+\.\d GB of memory, and there are 6\.0 GB\. Add --lean.* \(about \d\.\d GB\)$/,
    );
    expect(message).not.toContain('\n');
    const wide: Phase = { ...decode, completion: 2000 };
    const fits = bytesNeeded(large, [{ ...wide, batch: 8 }]) + 1;
    expect(refusal(large, [wide], fits)).toMatch(/Give --batch 8 \(about/);
    expect(refusal(large, [train, full], 30e9)).toMatch(/Leave out the variant full.*\(about/);
    const pairs: Phase = { kind: 'dcm', tokens: 500_000, prefix: 400, batch: 8 };
    expect(refusal(large, [pairs], 20e9)).toMatch(/--select fisher, or take fewer pairs \(--limit\) \(about/);
  });

  it('names two where one is not enough, and none where nothing helps', () => {
    const wide: Phase = { ...decode, completion: 2000 };
    const least = bytesNeeded({ ...large, lean: true }, [{ ...wide, batch: 1 }]);
    expect(refusal(large, [wide], least + 1)).toMatch(/Add --lean.*\. Give --batch 1 \(about/);
    expect(refusal(large, [wide], least / 2)).toMatch(/Use a smaller model or a machine with more memory$/);
    // Float32 weights are mapped: there is nothing that lean mode could leave.
    expect(refusal(inFloat32, [train], 1e9)).not.toContain('--lean');
  });
});

describe('the limit', () => {
  afterEach(() => {
    delete process.env[LIMIT_VARIABLE];
  });

  it('is the memory there is, unless the environment says another', () => {
    expect(memoryLimit()).toBeGreaterThan(1e9);
    process.env[LIMIT_VARIABLE] = '2.5';
    expect(memoryLimit()).toBe(2.5e9);
    process.env[LIMIT_VARIABLE] = 'much';
    expect(memoryLimit).toThrow(/^CCA_MEMORY_GB: is much\. Give a number of gigabytes/);
  });
});
