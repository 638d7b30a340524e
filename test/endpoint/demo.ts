/** The demo model and problems, and a connection to a server of it. */
import { neverAborted, type Signal } from '../../server/control.ts';
import { readProblems } from '../../server/data/problems.ts';
import { connect } from '../../server/endpoint/completer.ts';
import { type EndpointSettings, endpointDefaults } from '../../server/endpoint/settings.ts';
import { encodePrompts } from '../../server/generate/traces.ts';
import { Model } from '../../server/model/model.ts';

const demo = new URL('../../media/demo/', import.meta.url).pathname;

export const loadDemo = () => Model.load(`${demo}model`, { threads: 1 });
export const demoProblems = async (file: string, count: number) =>
  (await readProblems(`${demo}data/${file}.jsonl`)).problems.slice(0, count);

/** Waits of milliseconds where a user's are seconds. */
const QUICK = { first: 4, longest: 20 };

export async function reach(
  model: Model,
  url: string,
  settings: Partial<EndpointSettings> = {},
  { signal = neverAborted, notices = [] }: { signal?: Signal; notices?: string[] } = {},
) {
  const problems = await demoProblems('test', 1);
  return connect(
    model,
    { ...endpointDefaults, url, model: 'demo', concurrency: 4, retries: 5, ...settings },
    encodePrompts(model, problems)[0]!,
    { signal, notice: (level, text) => notices.push(`${level}: ${text}`), pace: QUICK },
  );
}
