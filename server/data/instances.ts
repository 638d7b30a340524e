/**
 * Fresh instances of GSM-Symbolic templates. Apple published the templates but no generator; where its semantics show
 * only in the published instances, those were followed.
 */
import { breathe, type Signal } from '../control.ts';
import { InputError } from '../errors.ts';
import { Rng } from '../random.ts';
import { parseTarget } from './answers.ts';
import { UniqueIds } from './fields.ts';
import { readJson } from './files.ts';
import { evaluate, mentions, type Scope, toValue } from './symbolic/evaluate.ts';
import { DEFAULT_LISTS } from './symbolic/lists.ts';
import { ExpressionError } from './symbolic/syntax.ts';
import { asNum, DivisionByZero, isPair, needList, show, truthy, type Value } from './symbolic/values.ts';
import {
  type Assignment,
  type Formula,
  failure,
  type Pattern,
  readTemplate,
  type SymbolicTemplate,
  templateFiles,
} from './templates.ts';

/** A fresh instance, with the fields of the published ones, so that `readProblems` reads it. */
export interface SymbolicInstance {
  id: string;
  instance: number;
  question: string;
  /** Worked solution, ending in `#### n`. */
  answer: string;
  original_id: string;
  original_question: string;
  original_answer: string;
}

export interface InstanceOptions {
  /** Lists by name (names_female, colors, ...), in place of or beside the built-in ones; pairs are [word, number]. */
  lists?: Record<string, unknown[]>;
  /** Draws tried for one instance before giving up. Default 200,000. */
  maxDraws?: number;
}

/**
 * Fresh instances of a template, each a different question, drawn until the conditions hold and `#answer:` agrees with
 * the `####` line of the worked solution.
 *
 * @param seed with the template's id it fixes every instance; the first n of a larger count are the same
 * @throws InputError naming file and expression for an unknown function or name, for conditions that are hardly ever
 *   met, and for a solution that contradicts `#answer:`
 */
export function makeInstances(
  template: SymbolicTemplate,
  count: number,
  seed: string | number,
  options: InstanceOptions = {},
): SymbolicInstance[] {
  const rng = new Rng(seed).fork(`template ${template.id_orig}`);
  const generator = new Generator(template, rng, options);
  const seen = new Set<string>();
  const instances: SymbolicInstance[] = [];
  for (let instance = 0; instance < count; instance++) {
    const { question, answer } = generator.next(seen);
    seen.add(question);
    const { id_shuffled: id, id_orig: original_id, original_question, original_answer } = template;
    instances.push({ id, instance, question, answer, original_id, original_question, original_answer });
  }
  return instances;
}

/**
 * Fresh instances of every template of a file or folder, template by template, each with the file that it is made from.
 *
 * @param count instances of every template
 * @throws InputError as `makeInstances`, and for two templates of the same original question
 */
export async function* freshInstances(
  source: string,
  count: number,
  seed: string | number,
  { signal, onTemplate, ...options }: InstanceOptions & Instancing,
): AsyncGenerator<{ where: string; instance: SymbolicInstance }> {
  const files = await templateFiles(source);
  const ids = new UniqueIds();
  for (const [i, file] of files.entries()) {
    await breathe(signal);
    const template = await readTemplate(file);
    ids.add(template.id_orig, file);
    for (const instance of makeInstances(template, count, seed, options)) yield { where: file, instance };
    onTemplate?.(i + 1, files.length);
  }
}

interface Instancing {
  signal: Signal;
  /** Hears how many of how many templates are done. */
  onTemplate?: (done: number, total: number) => void;
}

/** Lists by name from a JSON file. @throws InputError for anything else in it */
export async function readLists(path: string): Promise<Record<string, unknown[]>> {
  const json = await readJson(path);
  const isLists =
    typeof json === 'object' &&
    json !== null &&
    !Array.isArray(json) &&
    Object.values(json).every(Array.isArray);
  if (isLists) return json as Record<string, unknown[]>;
  throw new InputError(path, 'is not an object of lists', 'Give {"names_female": ["..."], ...}.');
}

class Generator {
  readonly #template: SymbolicTemplate;
  readonly #rng: Rng;
  readonly #maxDraws: number;
  #made = 0;
  #contradictions = 0;
  readonly #lists: Map<string, Value>;
  /** Values of assignments that depend on no variable. */
  readonly #constant = new Map<Assignment, Value>();

  constructor(template: SymbolicTemplate, rng: Rng, options: InstanceOptions) {
    this.#template = template;
    this.#rng = rng;
    this.#maxDraws = options.maxDraws ?? 200_000;
    this.#lists = new Map(Object.entries(DEFAULT_LISTS));
    for (const [name, items] of Object.entries(options.lists ?? {})) {
      try {
        this.#lists.set(name, items.map(toValue));
      } catch (error) {
        throw error instanceof ExpressionError
          ? new InputError(`list ${name}`, error.message, 'Mend the list.')
          : error;
      }
    }
    const variables = new Set(template.init.flatMap((a) => a.names));
    for (const assignment of template.init) {
      const free = [...mentions(assignment.formula.tree)].some((name) => variables.has(name));
      if (assignment.fixed && !free)
        this.#constant.set(assignment, this.#evaluate(assignment.formula, new Map()));
    }
  }

  next(seen: ReadonlySet<string>): { question: string; answer: string } {
    const { path, question, solution } = this.#template;
    for (let i = 0; i < this.#maxDraws; i++) {
      const variables = this.#draw();
      if (!variables) continue;
      const text = this.#fill(question, variables, 'word');
      if (seen.has(text)) continue;
      // The published instances have no <<calculator>> notes.
      const answer = this.#fill(solution, variables, 'number').replace(/<<[^<>]*>>/g, '');
      if (this.#contradicts(answer, variables)) continue;
      this.#made++;
      return { question: text, answer };
    }
    const what = `gave ${seen.size} instances and no further one in ${this.#maxDraws} draws`;
    throw new InputError(path, what, 'Ask for fewer, or loosen its conditions.');
  }

  /** One draw of all variables; null as soon as a condition fails. */
  #draw(): Map<string, Value> | null {
    const { init, conditions } = this.#template;
    const variables = new Map<string, Value>();
    for (let done = 0; done <= init.length; done++) {
      for (const { formula, after } of conditions) {
        if (after === done && !this.#holds(formula, variables)) return null;
      }
      if (done < init.length) this.#assign(init[done]!, variables);
    }
    return variables;
  }

  #assign(assignment: Assignment, variables: Map<string, Value>): void {
    const { names, formula } = assignment;
    let value = this.#constant.get(assignment) ?? this.#evaluate(formula, variables);
    if (names.length === 1) {
      // `sample` has chosen already; a bare list of candidates is chosen from here.
      const chosen =
        formula.tree.op === 'call' && formula.tree.name === 'sample' && formula.tree.args.length === 1;
      if (Array.isArray(value) && !chosen) {
        if (value.length === 0)
          throw failure(this.#template.path, formula.text, 'has nothing to choose from');
        value = value[this.#rng.int(value.length)]!;
      }
      variables.set(names[0]!, value);
      return;
    }
    const values = isPair(value) ? needList(value) : value;
    if (!Array.isArray(values) || values.length !== names.length) {
      throw failure(this.#template.path, formula.text, `does not give ${names.length} values`);
    }
    for (const [i, name] of names.entries()) variables.set(name, values[i]!);
  }

  /** A condition that divides by zero is not met. */
  #holds(formula: Formula, variables: Map<string, Value>): boolean {
    try {
      return truthy(evaluate(formula.tree, this.#scope(variables)));
    } catch (error) {
      if (error instanceof DivisionByZero) return false;
      throw error instanceof ExpressionError
        ? failure(this.#template.path, formula.text, error.message)
        : error;
    }
  }

  #evaluate(formula: Formula, variables: Map<string, Value>): Value {
    try {
      return evaluate(formula.tree, this.#scope(variables));
    } catch (error) {
      throw error instanceof ExpressionError
        ? failure(this.#template.path, formula.text, error.message)
        : error;
    }
  }

  #scope(variables: Map<string, Value>): Scope {
    return { rng: this.#rng, lookup: (name) => variables.get(name) ?? this.#lists.get(name) };
  }

  #fill(pattern: Pattern, variables: Map<string, Value>, pair: 'word' | 'number'): string {
    return pattern
      .map((part) => (typeof part === 'string' ? part : show(this.#evaluate(part, variables), pair)))
      .join('');
  }

  /**
   * Whether the worked solution ends in another number than `#answer:`. Some templates do for a few draws that their
   * conditions should have excluded, so those draws are passed over; others nearly always do, and are refused.
   */
  #contradicts(solution: string, variables: Map<string, Value>): boolean {
    const { path, answer } = this.#template;
    const value = asNum(this.#evaluate(answer, variables));
    const written = /####.*\d/.test(solution) ? parseTarget(solution) : null;
    if (!value) throw failure(path, answer.text, 'is no number');
    const expected = Number(value.n) / Number(value.d);
    if (written !== null && Math.abs(written - expected) <= 1e-6 * Math.max(1, Math.abs(expected)))
      return false;
    if (++this.#contradictions > 100 + 10 * this.#made) {
      throw failure(
        path,
        answer.text,
        `is ${expected} where the worked solution says ${written ?? 'nothing'}`,
      );
    }
    return true;
  }
}
