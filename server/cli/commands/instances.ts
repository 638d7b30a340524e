import { INSTANCES, SEED } from '../../engine/experiment/fields.ts';
import { command } from '../command.ts';
import { integer } from '../numbers.ts';
import { required } from '../options.ts';
import { existingPath, file, newPath } from '../paths.ts';

export const instances = command({
  name: 'instances',
  summary: 'draw fresh problems from the annotated templates of GSM-Symbolic',
  details: `Templates are read from your disk as published: JSON of question, answer, id_orig,
id_shuffled, question_annotated, answer_annotated. Every instance is a different
question that meets its template's conditions, with a worked solution that ends in
the answer. The file has the fields of the published instances, so \`--problems\`
takes it. One seed gives the same instances, and the first N of a larger --count.

  cca instances --templates symbolic --count 50 --seed 7 --out fresh.jsonl

Lists of names and words are built in; --lists has others, in JSON by name:
{"names_female": ["Ada"], "fraction_alph": [["half", 0.5]]}. In an experiment file,
\`"problems": {"templates": DIR, "count": N}\` draws them as the run starts.`,
  arguments: {},
  options: {
    templates: required(existingPath('template file, or a folder of them (*.json)')),
    count: required(integer('N', INSTANCES.about, { min: INSTANCES.min, max: INSTANCES.max })),
    seed: integer('N', SEED.about, { min: SEED.min, max: SEED.max, fallback: 0 }),
    lists: file('lists by name, in place of or beside the built-in ones: JSON'),
    out: required(newPath('JSONL file to write')),
  },
});
