import type { ModelConfig } from '../../checkpoint/config.ts';
import type { Architecture } from './architecture.ts';
import { gemma } from './gemma.ts';
import { llama } from './llama.ts';

/** By config.json's model_type; checkpoint/config.ts refuses any other before it comes here. */
const families: Readonly<Record<string, (config: ModelConfig) => Architecture>> = {
  llama,
  mistral: llama,
  qwen2: llama,
  qwen3: llama,
  gemma2: gemma,
  gemma3_text: gemma,
  olmo2: llama,
  phi3: llama,
};

export function architectureOf(config: ModelConfig): Architecture {
  const family = families[config.modelType];
  if (!family)
    throw new Error(`config.ts let model_type ${config.modelType} pass, but no graph is built for it`);
  return family(config);
}
