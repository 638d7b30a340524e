// A command line whose `generate` works through a run slowly, for the test of Ctrl-C. Its arguments are those of `cca`.
import { runCli } from '../../server/cli/cli.ts';
import { runsHandlers } from '../../server/cli/handlers/runs.ts';
import { Cancelled } from '../../server/errors.ts';
import { openRun } from '../../server/runs/run.ts';
import { setup } from '../runs/setup.ts';

const code = await runCli(
  process.argv.slice(2),
  {
    ...runsHandlers,
    generate: async ({ out, samples = 10, fresh }, io) => {
      const run = openRun(out, setup({ stages: { generate: { samples } } }), { fresh });
      const stage = run.stage('generate', ['traces.jsonl']);
      for (let i = 0; i < samples; i++) {
        await stage.unit(`${i}`, () => ({ result: i, records: { 'traces.jsonl': [{ i }] } }));
        io.emit({ event: 'partial', kind: 'trace', i });
        // `--stop deaf` makes a handler that does not listen.
        if (io.signal.aborted && process.argv[process.argv.indexOf('--stop') + 1] !== 'deaf') {
          run.close('cancelled');
          throw new Cancelled();
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      stage.finish({ traces: samples });
      run.close('finished');
      return { data: { traces: samples }, text: `${samples} traces\n` };
    },
  },
  { version: '1.2.3', stdout: process.stdout, stderr: process.stderr },
);
process.stdout.write('', () => process.exit(code));
