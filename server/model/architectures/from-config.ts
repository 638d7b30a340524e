import { layoutOf } from '../../checkpoint/config.ts';
import {
  biasName,
  embeddingName,
  finalNormName,
  headName,
  normName,
  projectionRows,
  weightName,
} from '../../checkpoint/families/layout.ts';
import type { ModelConfig } from '../../checkpoint/model-config.ts';
import type { Architecture, Traits } from './architecture.ts';

const plain: Traits = { normOffset: 0, embeddingScale: 1, activation: 'silu' };

/** The architecture of a config with its family's tensor names; `traits` are what a family has beside Llama's. */
export function fromConfig(config: ModelConfig, traits: Partial<Traits> = {}): Architecture {
  const layout = layoutOf(config);
  const { attention, localRope } = config;
  return {
    ...plain,
    ...traits,
    config,
    weight: (layer, projection) => weightName(layout, layer, projection),
    rows: (projection) => projectionRows(layout, config, projection),
    bias: (layer, projection) => biasName(layout, config, layer, projection),
    norm: (layer, place) => normName(layout, layer, place),
    qkNorm: layout.qkNorm,
    embedding: embeddingName,
    finalNorm: finalNormName,
    head: headName(config),
    attention: (layer) => (typeof attention === 'string' ? attention : attention[layer]!),
    rope: (kind) => (kind === 'sliding' && localRope ? localRope : config),
    slidingWindow: config.slidingWindow ?? Number.POSITIVE_INFINITY,
    attentionScale: 1 / Math.sqrt(config.queryScalar),
    attentionSoftcap: config.attentionSoftcap,
    finalSoftcap: config.finalSoftcap,
    gatePoint: layout.qkNorm === 'head' ? 'norm' : 'projection',
  };
}
