import { command } from '../command.ts';
import { choice, required } from '../options.ts';
import { folder, newFolder } from '../paths.ts';

export const documents = command({
  name: 'documents',
  summary: "write a run's traces as documents, to review and correct their pivots",
  details: `A trace document holds a trace as readable text under a header with its outcome
and its pivots, one a line. Set a pivot's status to accepted or rejected, change
its tokens, add a line with method=human, or take the trace out of training with
\`excluded: true\`. Documents that are there are kept.

  cca documents --run runs/first
  cca run --experiment demo.json --from runs/first --out runs/second

trains on the pairs of the first run as its documents have them; so does --pairs
with the run's folder, or any folder of documents.`,
  arguments: {},
  options: {
    run: required(folder('run folder with traces')),
    out: newFolder('where the documents go (default: the folder documents of the run)'),
    which: choice('traces that are part of a pair, or all', ['pivots', 'all'], 'pivots'),
    model: folder('model folder, if it is no longer where the run had it'),
  },
});
