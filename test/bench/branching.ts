/** Completions that branching runs on the demo model, beside those of the search at every token. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { neverAborted } from '../../server/control.ts';
import { readProblems } from '../../server/data/problems.ts';
import { Runner } from '../../server/generate/forward.ts';
import { encodePrompts, greedyTraces, sampledTraces, sharedPrefix } from '../../server/generate/traces.ts';
import { branchingPairs, contrasts } from '../../server/localize/localize.ts';
import { Model } from '../../server/model/model.ts';
import { generateDefaults } from '../../server/pipeline/settings.ts';
import type { Bench } from './cases.ts';
import { digits } from './measure.ts';

const signal = neverAborted;

function find(folder: string, name: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const hit = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(
    (file) => file === name || file.endsWith(`/${name}`) || file.endsWith(`\\${name}`),
  );
  return hit && join(folder, hit);
}

/**
 * @param demo folder of the demo model and its problems
 * @param count problems to take
 */
export async function branching({ report, threads }: Bench, demo: string, count: number): Promise<void> {
  const config = find(demo, 'config.json');
  const file = find(demo, 'train.jsonl');
  if (!config || !file) {
    report.heading('Branching: no demo model here');
    return;
  }
  const problems = (await readProblems(file)).problems.slice(0, count);
  report.heading(`Branching on the demo model: ${problems.length} problems`);
  const model = await Model.load(dirname(config), { threads });
  const runner = await Runner.create(model, undefined, sharedPrefix(encodePrompts(model, problems)));
  const own = await greedyTraces(runner, problems, generateDefaults, { signal });
  const options = { ...generateDefaults, seed: 0 };
  const all = contrasts([...own, ...(await sampledTraces(runner, problems, own, options, { signal }))], 3);
  const begin = performance.now();
  const { pairs, report: counts } = await branchingPairs(runner, all, generateDefaults, { signal });
  const seconds = (performance.now() - begin) / 1000;
  const { completions, naiveCompletions } = counts;
  report.line('contrasts, pairs', `${all.length}, ${pairs.length}`);
  report.line('completions run, and at every token', `${completions}, ${naiveCompletions}`);
  report.judged(
    'part of the naive count',
    digits(completions / naiveCompletions),
    completions / naiveCompletions,
    {
      atMost: 0.2,
    },
  );
  report.line('seconds', digits(seconds));
  const start = performance.now();
  const every = await branchingPairs(runner, all, generateDefaults, { signal, walk: 'naive' });
  report.line('seconds at every token', digits((performance.now() - start) / 1000));
  const same = JSON.stringify(pairs) === JSON.stringify(every.pairs);
  report.line('same pairs', same ? 'yes' : 'NO');
  if (!same) report.missed.push('same pairs');
  await model.release();
}
