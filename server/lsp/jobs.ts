/** Requests about jobs. */
import path from 'node:path';
import { curveOf } from '../jobs/curve.ts';
import { estimate, type Planned } from '../jobs/estimate.ts';
import * as protocol from '../protocol/jobs.ts';
import * as check from './check.ts';
import { findRuns } from './run-rows.ts';
import type { Services } from './services.ts';

const stage = check.oneOf('generate', 'localize', 'mask', 'amplify', 'evaluate');
const file = check.nullable(check.text);

const spec = check.object<protocol.JobSpec>({
  experiment: check.text,
  out: file,
  until: check.nullable(stage),
  redo: check.nullable(stage),
  from: file,
  pairs: file,
  circuit: file,
  seed: check.nullable(check.count),
  variants: check.nullable(check.list(check.text)),
  set: check.named((value, field) =>
    typeof value === 'string' || typeof value === 'boolean' ? value : check.real(value, field),
  ),
});
const idOnly = check.object<{ id: string }>({ id: check.text });

export function answerJobs(services: Services): void {
  const { answers } = services;
  answers.on(protocol.start, spec, (job) => services.jobs().start(job, services.options), {
    needsTrust: true,
  });
  answers.on(protocol.cancel, idOnly, ({ id }) => {
    services.jobs().cancel(id);
    return null;
  });
  answers.on(protocol.endTraining, idOnly, ({ id }) => {
    services.jobs().endTraining(id);
    return null;
  });
  answers.on(protocol.list, check.nothing, () => services.jobs().list());
  answers.on(protocol.forget, idOnly, ({ id }) => {
    services.jobs().forget(id);
    return null;
  });
  const costed = check.object<{ job: protocol.JobSpec; measure: boolean }>({
    job: spec,
    measure: check.flag,
  });
  answers.on(protocol.estimate, costed, ({ job, measure }, { signal }) => {
    const roots = findRuns(services.folders).map((run) => path.dirname(run));
    const { options } = services;
    const forecast = (plan: Planned) => services.engine.call('forecast', plan, { signal });
    const asked = options.trusted && measure ? forecast : null;
    return estimate(job, options, [...new Set(roots)], asked, signal);
  });
  answers.on(protocol.curve, check.object<{ run: string }>({ run: check.text }), ({ run }) =>
    curveOf(path.resolve(run)),
  );
}
