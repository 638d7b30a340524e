import type { ModelConfig } from '../../checkpoint/model-config.ts';
import type { Architecture } from './architecture.ts';
import { fromConfig } from './from-config.ts';

/**
 * Llama and the families whose graph is Llama's but for what config and tensor layout say: Mistral, Qwen2, Qwen3,
 * OLMo 2, Phi-3.
 */
export const llama = (config: ModelConfig): Architecture => fromConfig(config);
