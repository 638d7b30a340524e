import type { JobState } from '../../server/protocol/jobs.ts';
import type { TrainingChoices } from '../../server/protocol/panel.ts';
import { count, duration, h, plural, section, setText, show } from '../dom.ts';
import type { Host } from '../host.ts';
import { isActive } from '../state/state.ts';
import type { Store } from '../state/store.ts';
import { button, checkbox, dropdown, setOptions, type TextField, textField } from '../toolkit.ts';

/** Matched controls and baselines that can run beside a training. */
const variants: readonly { name: string; label: string }[] = [
  { name: 'random', label: 'Random circuit, same counts' },
  { name: 'all', label: 'All components' },
  { name: 'neurons', label: 'With gate and down weights' },
  { name: 'random-neurons', label: 'Random, with gate and down' },
  { name: 'paper', label: "The paper's recipe" },
  { name: 'lora', label: 'LoRA' },
  { name: 'full', label: 'Full fine-tuning' },
];

interface NumberField {
  name: 'steps' | 'learningRate' | 'klControl' | 'validateEvery';
  label: string;
  /** Smallest value that is allowed; whether it must be a whole number. */
  least: number;
  whole: boolean;
  above?: boolean;
}

const numbers: readonly NumberField[] = [
  { name: 'steps', label: 'Steps', least: 1, whole: true },
  { name: 'learningRate', label: 'Learning rate', least: 0, whole: false, above: true },
  { name: 'klControl', label: 'KL to base, weight', least: 0, whole: false },
  { name: 'validateEvery', label: 'Validate every', least: 1, whole: true },
];

/** Starting a sparse training of the selection, and the one under way. */
export function trainingView(store: Store, host: Host): HTMLElement {
  return section('training', 'Sparse training', form(store, host), progress(store, host));
}

function form(store: Store, host: Host): HTMLElement {
  const set = (change: Partial<TrainingChoices>) =>
    store.dispatch({ type: 'choices', choices: { ...store.state.choices, ...change } });
  const invalid = new Set<string>();
  const fields = new Map<string, TextField>();
  for (const { name, label, least, whole, above } of numbers) {
    const field = textField(label, (text) => {
      const value = Number(text.trim().replace(',', '.'));
      const fits = text.trim() !== '' && Number.isFinite(value) && (above ? value > least : value >= least);
      const good = fits && (!whole || Number.isInteger(value));
      field.classList.toggle('invalid', !good);
      field.setAttribute('aria-invalid', String(!good));
      if (good) invalid.delete(name);
      else invalid.add(name);
      if (good) set({ [name]: value });
      refresh();
    });
    fields.set(name, field);
  }
  const neurons = dropdown('Weights of a neuron', (value) =>
    set({ neurons: value as TrainingChoices['neurons'] }),
  );
  const boxes = variants.map(({ name, label }) => ({
    name,
    box: checkbox(label, (checked) => {
      const others = store.state.choices.variants.filter((other) => other !== name);
      set({ variants: checked ? [...others, name] : others });
    }),
  }));
  const chosen = h('span', {});
  const controls = h(
    'details',
    {},
    h('summary', {}, 'Matched controls ', chosen),
    h(
      'div',
      { class: 'variants', role: 'group', 'aria-label': 'Matched controls' },
      ...boxes.map(({ box }) => box),
    ),
  );
  const start = button(
    'Start training',
    () => {
      const { selection, choices } = store.state;
      host.post({ type: 'train', selected: selection.present.positions(), choices });
    },
    { primary: true },
  );
  const why = h('span', { class: 'muted' });
  const refresh = () => {
    const { selection, trusted, job, circuit } = store.state;
    const reason = !circuit
      ? 'No run is shown.'
      : !trusted
        ? 'Training needs a trusted workspace.'
        : circuit.view.pairs === 0
          ? 'The run has no pairs yet.'
          : selection.present.count === 0
            ? 'Select components first.'
            : isActive(job)
              ? 'A job is running.'
              : invalid.size > 0
                ? 'A value above cannot be used.'
                : null;
    start.disabled = reason !== null;
    setText(why, reason ?? `Trains ${plural(selection.present.count, 'component')} in a new run folder.`);
  };
  store.watch(
    ({ choices }) => [choices],
    (choices) => {
      for (const [name, field] of fields) {
        const value = String(choices[name as NumberField['name']]);
        if (!invalid.has(name) && Number(field.value) !== Number(value)) field.value = value;
      }
      setOptions(
        neurons,
        [
          { value: 'up', label: 'up_proj row' },
          { value: 'up+gate+down', label: 'up, gate and down' },
        ],
        choices.neurons,
      );
      for (const { name, box } of boxes) box.checked = choices.variants.includes(name);
      setText(chosen, choices.variants.length > 0 ? `(${choices.variants.length})` : '(none)');
    },
  );
  store.watch(({ selection, trusted, job, circuit }) => [selection.present, trusted, job, circuit], refresh);
  return h(
    'div',
    { class: 'training-form' },
    h(
      'div',
      { class: 'fields' },
      ...fields.values(),
      h(
        'div',
        { class: 'field' },
        h('span', { class: 'label', 'aria-hidden': 'true' }, 'Weights of a neuron'),
        neurons,
      ),
    ),
    controls,
    h('div', { class: 'row' }, start, why),
  );
}

const stateWords: Record<JobState['state'], string> = {
  running: 'Running',
  cancelling: 'Stopping; what is finished is kept',
  finished: 'Finished',
  failed: 'Failed',
  cancelled: 'Stopped; what was finished is kept',
};

export function jobWords(job: JobState): string {
  const parts = [
    job.state === 'running' && job.endingTraining
      ? 'Ending the training; the best step is kept'
      : stateWords[job.state],
  ];
  if (job.stage && isActive(job)) {
    parts.push(`${job.stage}: ${count(job.done)} of ${count(job.total)} ${job.unit}`);
  }
  if (isActive(job) && job.remaining !== null) {
    parts.push(`${job.atMost ? 'at most ' : ''}${duration(job.remaining)} left`);
  }
  if (job.restarts > 0) parts.push(`restarted ${plural(job.restarts, 'time')}`);
  if (job.error) parts.push(job.error);
  return parts.join(' · ');
}

function progress(store: Store, host: Host): HTMLElement {
  const words = h('span', {});
  const bar = h('progress', { max: 1, 'aria-label': 'Progress of the stage' });
  const stages = h('ol', { class: 'stages', 'aria-label': 'Stages' });
  const post = (type: 'endTraining' | 'cancel') => () => {
    const { job } = store.state;
    if (job) host.post({ type, job: job.id });
  };
  const stop = button('Stop, keep best', post('endTraining'));
  stop.title = 'Ends the training with this step; its best step becomes the patch, which is then evaluated';
  const cancel = button('Cancel', post('cancel'));
  cancel.title = 'Stops the job; what is finished is kept, and it can go on from there later';
  const element = h(
    'div',
    { class: 'job' },
    h('div', { class: 'row' }, words, h('span', { class: 'spring' }), stop, cancel),
    bar,
    stages,
  );
  store.watch(
    ({ job }) => [job],
    (job) => {
      show(element, job !== null);
      if (!job) return;
      const active = isActive(job);
      show(bar, active);
      show(stop, active);
      show(cancel, active);
      // Before there is a step there is nothing to keep; afterwards the patch is written.
      stop.disabled = job.state !== 'running' || job.stage !== 'amplify' || job.endingTraining;
      cancel.disabled = job.state !== 'running';
      setText(words, jobWords(job));
      words.classList.toggle('error', job.state === 'failed');
      bar.value = job.share;
    },
  );
  // Told of many times a second, and changed a few times in all.
  store.watch(
    ({ job }) => [JSON.stringify(job?.stages ?? [])],
    () =>
      stages.replaceChildren(
        ...(store.state.job?.stages ?? []).map(({ name, status }) =>
          h('li', { class: status }, name, h('span', { class: 'sr-only' }, ` ${status}`)),
        ),
      ),
  );
  return element;
}
