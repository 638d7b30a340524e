/** What a model family has to say: how its config.json reads, and which tensors it needs. */
import type { Fields } from '../json-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import type { Layout } from './layout.ts';

/** Config without the token ids and dtype, which are read alike for every family. */
export type Architecture = Omit<ModelConfig, 'torchDtype' | 'bosTokenId' | 'eosTokenIds' | 'padTokenId'>;

export interface Family {
  /** `architectures` entry of its causal language model. */
  readonly architecture: string;
  /** transformers' defaults of bos_token_id and eos_token_id, used where config.json lacks the field. */
  readonly defaultTokenIds: { readonly bos: number | null; readonly eos: number | null };
  /** Names and shapes of its tensors. */
  readonly layout: Layout;
  /** @throws InputError naming the field for anything this family's graph would not compute exactly */
  read(fields: Fields): Architecture;
}
