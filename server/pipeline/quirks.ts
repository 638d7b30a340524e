import type { Settings } from './settings.ts';

/** Where a run does what the reference code does and the paper does not say, or cannot do what that code does. */
export interface Quirk {
  quirk: string;
  /** False: named for completeness; this product does it the other way. */
  reproduced: boolean;
}

const NOT_REPRODUCED = [
  'passes of the model in float16: activations and gradients are float32 here until a step is taken',
  'validation accuracy as a mean over templates: here over problems, which is the same for templates of equal size',
  'texts encoded anew at every branch of a walk: here once, before the walk',
  "LoRA and full fine-tuning on the data set's solutions: here on the model's own correct traces, or on the pairs",
];

/** What a run's settings take over from the reference code, in the order of the stages; none for settings that take nothing. */
export function quirksOf({ generate, localize, mask, amplify }: Settings): Quirk[] {
  const found: string[] = [];
  if (generate.temperatureWrong === 1 && generate.temperatureRight === 1 && generate.topK === 50) {
    found.push('sampling without a temperature: transformers then takes 1, and the 50 most probable tokens');
  }
  if (localize.ids === 'reencoded') {
    found.push('traces and prefixes as texts between the stages: their ids are decoded and encoded again');
  }
  if (mask.select === 'dcm' && mask.pairing === 'reference') {
    found.push("a mask loss that scores every pair's logits on every pair's tokens (B x B), not on its own");
  }
  if (amplify.weights === 'float16') {
    found.push('weights updated in float16: gradients, steps and sums are rounded, and small steps are lost');
  }
  if (amplify.keep === 'first') {
    found.push('the first of the best steps is kept, even where the base model was better');
  }
  if (found.length === 0) return [];
  return [
    ...found.map((quirk) => ({ quirk, reproduced: true })),
    ...NOT_REPRODUCED.map((quirk) => ({ quirk, reproduced: false })),
  ];
}
