/** Gradient over Fisher information: going on after an interruption. Its figures: test/model/oracle-training.test.ts. */
import { expect, test } from 'vitest';
import { neverAborted as signal } from '../../server/control.ts';
import { Runner } from '../../server/generate/forward.ts';
import { fisherScores } from '../../server/mask/fisher.ts';
import { ComponentSpace, componentKinds } from '../../server/model/components.ts';
import { Model } from '../../server/model/model.ts';
import { bytesOf, packState, setBytes, unpackState } from '../../server/optimize/state.ts';
import { Rng } from '../../server/random.ts';
import { asPairs } from '../model/pairs.ts';
import { loadOracle } from '../oracle.ts';

test('layers that were scored in an earlier session are not scored again', async () => {
  const { folder, pairs, texts } = loadOracle('llama-tied');
  const model = await Model.load(folder);
  const plain = await Runner.create(model);
  const space = new ComponentSpace(model.config);
  const score = (saved: Uint8Array | null, save?: (state: Uint8Array) => void, of = pairs) =>
    fisherScores(
      plain,
      asPairs(of),
      texts,
      { eps: 1e-3, kinds: componentKinds },
      { plain, rng: new Rng(1), signal, saved, ...(save && { save }) },
    );
  const states: Uint8Array[] = [];
  const whole = await score(null, (state) => states.push(Uint8Array.from(state)));
  const { head, parts } = unpackState<{ layers: number }>(states.at(-1)!);
  expect(head.layers).toBe(space.layers);
  for (const layers of [1, 2, 3]) {
    // As it was after this many layers.
    const sums = parts.map((part) => {
      const all = new Float64Array(space.size);
      setBytes(all, part);
      for (const kind of componentKinds) {
        for (let layer = layers; layer < space.layers; layer++) {
          const first = space.offset(kind, layer);
          all.fill(0, first, first + space.width(kind));
        }
      }
      return all;
    });
    const saved = packState({ layers }, sums.map(bytesOf));
    expect(await score(saved)).toEqual(whole);
    // The scored layers' figures are the saved ones, whatever the pairs are now.
    const other = await score(saved, undefined, pairs.slice(0, 1));
    for (const kind of componentKinds) {
      for (let layer = 0; layer < space.layers; layer++) {
        const first = space.offset(kind, layer);
        const of = (scores: Float32Array) => [...scores.subarray(first, first + space.width(kind))];
        if (layer < layers) expect(of(other)).toEqual(of(whole));
        else expect(of(other)).not.toEqual(of(whole));
      }
    }
  }
  await model.release();
});
