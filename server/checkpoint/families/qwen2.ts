/** Qwen2 and Qwen2.5 (transformers/models/qwen2): Llama with biases on q, k and v; the upper layers may slide. */
import type { Fields } from '../json-fields.ts';
import { numberOrNone, readAttention, readDecoder, silu } from './decoder.ts';
import type { Architecture, Family } from './family.ts';
import { llamaLayout } from './layout.ts';

export const qwen2: Family = {
  architecture: 'Qwen2ForCausalLM',
  defaultTokenIds: { bos: null, eos: null },
  layout: llamaLayout,
  read: (fields) => ({
    ...readDecoder(fields, {
      modelType: 'qwen2',
      activation: silu,
      rmsNormEps: 1e-6,
      maxPositionEmbeddings: 32768,
      tieWordEmbeddings: false,
      headDim: null,
    }),
    ...readQwenAttention(fields),
    attentionBias: true,
  }),
};

/** `use_sliding_window` turns `sliding_window` on for the layers from `max_window_layers` up. */
export function readQwenAttention(fields: Fields): Pick<Architecture, 'attention' | 'slidingWindow'> {
  const slides = fields.boolean('use_sliding_window', false);
  const window = slides ? numberOrNone(fields, 'sliding_window', 4096, 'positiveInteger') : null;
  if (window === null) return readAttention(fields, 'full', null);
  const first = fields.raw('max_window_layers') === 0 ? 0 : fields.positiveInteger('max_window_layers', 28);
  return readAttention(fields, (layer) => (layer >= first ? 'sliding' : 'full'), window);
}
