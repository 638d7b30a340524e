import type { RunSetup } from '../../server/runs/manifest.ts';

/** What a run is made from, with the fields that a test cares about changed. */
export function setup(change: Partial<RunSetup> = {}): RunSetup {
  return {
    product: { name: 'circuit-amplifier', version: '1.2.3' },
    model: { path: 'models/small', hash: 'aaaa' },
    data: { problems: { path: 'problems.jsonl', hash: 'bbbb' } },
    seed: 7,
    device: 'cpu',
    versions: { node: '20.19.0' },
    stages: { generate: { samples: 4, temperature: { wrong: 0.8, right: 1.2 } } },
    ...change,
  };
}
