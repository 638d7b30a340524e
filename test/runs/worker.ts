// A process that works through a run as the stages do: chunks of records of uneven size, single results, optimiser
// snapshots. Usage: node worker.mjs FOLDER. The test kills it at random moments.
import { createHash } from 'node:crypto';
import { openRun } from '../../server/runs/run.ts';
import { setup } from './setup.ts';

const CHUNKS = 40;
const STEPS = 40;

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

process.stdout.write('opening\n');
const stages = { generate: { chunks: CHUNKS }, amplify: { steps: STEPS } };
const run = openRun(process.argv[2]!, setup({ stages }));

const generate = run.stage('generate', ['traces.jsonl', 'skipped.jsonl']);
let right = 0;
for (let chunk = 0; chunk < CHUNKS; chunk++) {
  right += await generate.unit(`chunk ${chunk}`, () => {
    const traces = Array.from({ length: 1 + ((chunk * 7) % 5) }, (_, i) => ({
      id: `${chunk}-${i}`,
      text: `${digest(`${chunk}/${i}`).repeat(1000)} 数 😀`,
    }));
    const records = { 'traces.jsonl': traces, 'skipped.jsonl': chunk % 3 === 0 ? [{ chunk }] : [] };
    return { result: traces.length, records };
  });
}
if (!generate.finished) generate.finish({ right });

// Every step depends on all the steps before it, as an optimiser's do.
const amplify = run.stage('amplify', ['curve.jsonl']);
if (!amplify.finished) {
  let weights = amplify.state ? Buffer.from(amplify.state.bytes).toString() : 'initial';
  for (let step = amplify.state ? amplify.state.step + 1 : 0; step < STEPS; step++) {
    weights = digest(`${weights} ${right}`);
    await amplify.unit(`step ${step}`, () => ({
      result: null,
      records: { 'curve.jsonl': [{ step, weights }] },
    }));
    if (step % 5 === 4) amplify.saveState(step, Buffer.from(weights));
  }
  run.writeArtefact('patch.bin', weights.repeat(5000));
  run.writeArtefact('report.json', JSON.stringify({ target: { gain: right }, weights }));
  amplify.finish({ steps: STEPS });
}
run.close('finished');
