import type { ModelConfig } from '../../checkpoint/model-config.ts';
import type { Architecture } from './architecture.ts';
import { fromConfig } from './from-config.ts';

/** Gemma 2 and Gemma 3. */
export const gemma = (config: ModelConfig): Architecture =>
  fromConfig(config, {
    normOffset: 1,
    // transformers rounds it to the dtype it runs in, which is float32 here whatever the weights are stored in.
    embeddingScale: Math.fround(Math.sqrt(config.hiddenSize)),
    activation: 'geluTanh',
  });
