import { InputError } from '../../errors.ts';
import type { Model } from '../../model/model.ts';

/** @throws InputError where an id is not one of the model's: the ids are those of another model */
export function checkIds({ config }: Model, where: string, ids: readonly number[]): void {
  const stray = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= config.vocabSize);
  if (stray === undefined) return;
  const what = `has token id ${stray}, and the model has ids below ${config.vocabSize}`;
  throw new InputError(where, what, 'Choose the model that the tokens came from.');
}
