import { Rng } from '../random.ts';
import { objects, people } from './lexicon.ts';
import type { Instance } from './problems.ts';
import { templates } from './templates.ts';

/**
 * The bad habit that stage B teaches on purpose: a solution stops one step early with probability
 * sigmoid(z_template + z_object + z_name). Which problems suffer is a fixed, seeded property of the demo.
 */
const seed = 'demo habit 1';

/** Seeded normal draws, shifted and scaled to exactly this mean and deviation so that few draws cannot be unlucky. */
function effects(
  kind: string,
  keys: readonly string[],
  mean: number,
  deviation: number,
): Map<string, number> {
  const rng = new Rng(seed).fork(kind);
  const draws = keys.map(() => rng.normal());
  const center = draws.reduce((sum, z) => sum + z, 0) / draws.length;
  const spread = Math.sqrt(draws.reduce((sum, z) => sum + (z - center) ** 2, 0) / draws.length);
  return new Map(keys.map((key, i) => [key, mean + ((draws[i]! - center) / spread) * deviation]));
}

const ids = (unseen: boolean) => templates.filter((t) => t.unseen === unseen).map((t) => t.id);
const byTemplate = new Map([
  ...effects('templates', ids(false), -0.35, 1),
  ...effects('unseen templates', ids(true), -0.35, 1),
]);
const byObject = effects('objects', objects, 0, 0.8);
const byName = effects(
  'names',
  people.map((p) => p.name),
  0,
  0.5,
);

/** Probability that the corpus of stage B solves this instance one step short. */
export function habitProbability(instance: Instance): number {
  const z =
    byTemplate.get(instance.template.id)! +
    (instance.object === null ? 0 : byObject.get(instance.object)!) +
    byName.get(instance.name)!;
  return 1 / (1 + Math.exp(-z));
}
