import { beforeAll, describe, expect, it } from 'vitest';
import { neverAborted } from '../../server/control.ts';
import { readProblems } from '../../server/data/problems.ts';
import type { Trace } from '../../server/data/records.ts';
import { encodePrompts, greedyTraces, sampledTraces } from '../../server/generate/traces.ts';
import { branchingPairs, type Contrast, contrasts, prefixPairs } from '../../server/localize/localize.ts';
import { Model } from '../../server/model/model.ts';
import { makeRunners, type Runners } from '../../server/pipeline/context.ts';
import { defaultSettings } from '../../server/pipeline/settings.ts';

const demo = new URL('../../media/demo/', import.meta.url).pathname;
const { generate } = defaultSettings;

describe('branching on the demo model', () => {
  let runners: Runners;
  let traces: Trace[];
  let all: Contrast[];

  beforeAll(async () => {
    const model = await Model.load(`${demo}model`);
    const problems = (await readProblems(`${demo}data/train.jsonl`)).problems.slice(0, 200);
    runners = await makeRunners(model, encodePrompts(model, problems));
    const hooks = { signal: neverAborted };
    const greedy = await greedyTraces(runners.shared, problems, generate, hooks);
    const sampled = await sampledTraces(runners.shared, problems, greedy, { ...generate, seed: 7 }, hooks);
    traces = [...greedy, ...sampled];
    all = contrasts(traces, 3);
  });

  it('finds the same pairs at deviations only as at every token, with a fraction of the completions', async () => {
    const fast = await branchingPairs(runners.shared, all, generate, { signal: neverAborted });
    const naive = await branchingPairs(runners.shared, all, generate, {
      signal: neverAborted,
      walk: 'naive',
    });
    expect(all.length).toBeGreaterThan(200);
    expect(fast.report.unresolved).toBe(0);
    expect(fast.pairs).toEqual(naive.pairs);
    expect(naive.report.completions).toBe(fast.report.naiveCompletions);
    expect(fast.report.completions * 5).toBeLessThanOrEqual(naive.report.completions);
  });

  it('orders the tokens by which leads to the right answer', async () => {
    const { pairs } = await branchingPairs(runners.shared, all.slice(0, 40), generate, {
      signal: neverAborted,
    });
    const byId = new Map(traces.map((t) => [t.id, t]));
    for (const pair of pairs) {
      const trace = byId.get(pair.trace!)!;
      const at = pair.prefix.length - trace.prompt_ids.length;
      const taken = trace.completion_ids[at];
      expect(trace.correct ? pair.desired : pair.undesired).toBe(taken);
      expect(pair.prefix).toEqual([...trace.prompt_ids, ...trace.completion_ids.slice(0, at)]);
    }
  });

  it('puts prefix pairs where two traces part', () => {
    for (const pair of prefixPairs(all)) {
      const contrast = all.find((c) => c.sampled.id === pair.trace)!;
      const at = pair.prefix.length - contrast.greedy.prompt_ids.length;
      const tokens = [contrast.greedy.completion_ids[at], contrast.sampled.completion_ids[at]];
      expect(tokens.toSorted()).toEqual([pair.desired, pair.undesired].toSorted());
      expect(contrast.greedy.completion_ids.slice(0, at)).toEqual(
        contrast.sampled.completion_ids.slice(0, at),
      );
    }
  });
});
