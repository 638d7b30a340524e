import { commands } from 'vscode';
import type { JobState } from '../../server/protocol/jobs.ts';
import { report, study } from '../../server/protocol/runs.ts';
import { type Command, views } from '../contributions.ts';
import { type Button, error, failed, info } from '../notify.ts';
import type { Server } from '../server/server.ts';
import { gainLine, studyLine } from './describe.ts';

/** One message at the end of a job: what it gave, and where to go from there. */
export function tellEnd(server: Server, job: JobState): void {
  const run = { folder: job.run };
  const button = (title: string, command: Command): Button => ({
    title,
    run: () => commands.executeCommand(command, run),
  });
  const resume = button('Resume', 'circuitAmplifier.resume');
  const circuit = button('Open Circuit', 'circuitAmplifier.openCircuit');
  const traces = button('Show Traces', 'circuitAmplifier.showTraces');
  const runs: Button = { title: 'Show Runs', run: () => commands.executeCommand(`${views.runs}.focus`) };
  const { state, title, spec } = job;
  if (state === 'failed') error(`${title}: ${job.error ?? 'failed'}`, resume);
  else if (state === 'cancelled') info(`${title}: stopped; what was finished is kept.`, resume);
  else if (spec.until === 'generate' || spec.until === 'localize') info(`${title}: done.`, traces);
  else if (spec.until === 'mask' || spec.until === 'amplify') info(`${title}: done.`, circuit);
  else {
    const flips = button('Show Flips', 'circuitAmplifier.showFlips');
    const full = button('Report', 'circuitAmplifier.showReport');
    const tell = async () => {
      const several = await server.request(study, run);
      // A study is of several runs: each has its circuit, its flips and its report in the view.
      if (several) return info(`${title}: ${studyLine(several)}.`, runs);
      const made = await server.request(report, run);
      info(`${title}: ${(made && gainLine(made)) ?? 'done'}.`, circuit, flips, full);
    };
    tell().catch(failed('The report could not be read'));
  }
}
