/**
 * Damages small valid files in seeded ways and runs `cca` on each. Every case must end in exit code 2 with one line, within
 * 5 s and the memory of the file and 500 MB; damage that happens to be harmless is drawn anew.
 * `npm run fuzz -- --cases 200 --seed 1`; `--only N` runs one case, and leaves its folder.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Rng } from '../../server/random.ts';
import { mutationsOf } from './mutate.ts';
import { FAMILIES, type Kind, kinds, preparations, writeValid } from './valid.ts';
import type { Ended } from './worker.ts';

/** Of a case, by the processor and by the clock. */
const LIMIT_MS = 5000;
/** When a process is ended that waits for what does not come. */
const GIVE_UP_MS = 60_000;
const MEMORY = 500e6;
/** Draws of a case that may be harmless before it counts as a fault. */
const DRAWS = 40;

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'cca-fuzz-')));
const valid = path.join(root, 'valid');

/** One process for many cases; it is replaced after a crash or a hang. */
class Runner {
  private child: ChildProcess | null = null;

  private async start(): Promise<ChildProcess> {
    if (this.child?.connected) return this.child;
    const child = fork(path.join(import.meta.dirname, 'fuzz-worker.mjs'), { stdio: 'ignore' });
    this.child = child;
    await new Promise((resolve) => child.once('message', resolve));
    return child;
  }

  async run(argv: string[]): Promise<Ended | string> {
    const child = await this.start();
    return new Promise((resolve) => {
      const settle = (outcome: Ended | string) => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
        if (typeof outcome === 'string') this.stop();
        resolve(outcome);
      };
      const onMessage = (ended: unknown) => settle(ended as Ended);
      const onExit = (code: number | null, signal: string | null) =>
        settle(`the process ended: ${signal ?? code}`);
      const timer = setTimeout(() => settle(`no end after ${GIVE_UP_MS / 1000} s`), GIVE_UP_MS);
      child.on('message', onMessage).on('exit', onExit);
      child.send(argv, (error) => {
        if (error) settle(`the process had ended: ${error.message}`);
      });
    });
  }

  stop(): void {
    this.child?.kill('SIGKILL');
    this.child = null;
  }
}

/**
 * What is wrong with how a case ended; null where nothing is.
 * @param slowdown by the clock against by the processor, of a command on this machine now
 */
function fault(ended: Ended | string, bytes: number, slowdown: number): string | null {
  if (typeof ended === 'string') return ended;
  const { code, stderr, cpu, wall, peak } = ended;
  const lines = stderr.trimEnd().split('\n');
  if (code !== 0 && code !== 2) return `exit code ${code}: ${lines[0]}`;
  if (code === 2 && (lines.length !== 1 || lines[0] === ''))
    return `${lines.length} lines: ${stderr.slice(0, 300)}`;
  if (code === 2 && lines[0]!.length > 2000) return `a line of ${lines[0]!.length} characters`;
  if (cpu > LIMIT_MS) return `${(cpu / 1000).toFixed(1)} s of processor time`;
  if (wall > LIMIT_MS * slowdown) return `${(wall / 1000).toFixed(1)} s`;
  if (peak > bytes + MEMORY) return `${Math.round(peak / 1e6)} MB of memory`;
  return null;
}

async function prepare(runner: Runner): Promise<void> {
  fs.mkdirSync(valid);
  writeValid(valid);
  const at = (name: string) => path.join(valid, name);
  for (const line of preparations(at)) {
    const ended = await runner.run(line);
    if (typeof ended === 'string' || ended.code !== 0)
      throw new Error(`cca ${line.join(' ')}: ${typeof ended === 'string' ? ended : ended.stderr}`);
  }
  fs.copyFileSync(at('masked/mask.json'), at('mask.json'));
  fs.copyFileSync(at('traced/traces.jsonl'), at('traces.jsonl'));
  const mask = kinds.find(({ name }) => name === 'mask')!;
  const patched = [...mask.command(at).slice(0, -1), at('patched')];
  const ended = await runner.run(patched);
  if (typeof ended === 'string' || ended.code !== 0) throw new Error(`amplify: ${JSON.stringify(ended)}`);
  fs.copyFileSync(at('patched/patch.safetensors'), at('patch.safetensors'));
  for (const name of ['masked', 'traced', 'patched']) fs.rmSync(at(name), { recursive: true });
}

/** Undamaged, every kind of file must be taken: else its damage shows nothing. */
async function checkValid(kind: Kind, runner: Runner): Promise<void> {
  const folder = path.join(root, `valid-${kinds.indexOf(kind)}`);
  copyValid(folder, kind);
  const ended = await runner.run(kind.command((name) => path.join(folder, name)));
  fs.rmSync(folder, { recursive: true, force: true });
  if (typeof ended === 'string' || ended.code !== 0)
    throw new Error(`undamaged ${kind.name}: ${typeof ended === 'string' ? ended : ended.stderr}`);
}

interface Case {
  kind: string;
  mutation: string;
  fault: string | null;
  line: string;
  /** Harmless draws before. */
  harmless: number;
}

/** A case: damage to one file, drawn until it does harm. */
async function once(number: number, runner: Runner, slowdown: number): Promise<Case> {
  const rng = new Rng(values.seed!).fork(`case ${number}`);
  const kind = kinds[number % kinds.length]!;
  const options = mutationsOf(kind);
  for (let harmless = 0; ; harmless++) {
    const draw = rng.fork(`draw ${harmless}`);
    const mutation = options[draw.int(options.length)]!;
    const folder = path.join(root, `case-${number}`);
    copyValid(folder, kind);
    const file = path.join(folder, kind.file);
    mutation.apply(file, draw.fork('damage'));
    const bytes = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
    const line = kind.command((name) => path.join(folder, name));
    const ended = await runner.run(line);
    const whole = typeof ended === 'string' ? null : ended;
    const again = whole?.code === 0 && harmless < DRAWS;
    if (again || values.only === undefined) fs.rmSync(folder, { recursive: true, force: true });
    else console.log(`${folder}\ncca ${line.join(' ')}`);
    if (again) continue;
    return {
      kind: kind.name,
      mutation: mutation.name,
      fault: whole?.code === 0 ? `harmless in ${DRAWS} draws` : fault(ended, bytes, slowdown),
      line: whole?.stderr.trim() ?? '',
      harmless,
    };
  }
}

/** The valid files, of the other families only what the kind reads. */
function copyValid(folder: string, kind: Kind): void {
  const others = FAMILIES.filter((name) => !kind.file.startsWith(`${name}/`)).map((name) =>
    path.join(valid, name),
  );
  fs.cpSync(valid, folder, { recursive: true, filter: (source) => !others.includes(source) });
  // The manifest of the run folder names the model's folder and the problems' file.
  const manifest = path.join(folder, 'run/manifest.json');
  fs.writeFileSync(manifest, fs.readFileSync(manifest, 'utf8').replaceAll(valid, folder));
}

/** How much longer a valid command takes by the clock than by the processor. */
async function slowdownOf(runner: Runner): Promise<number> {
  const ended = await runner.run(kinds[0]!.command((name) => path.join(valid, name)));
  if (typeof ended === 'string' || ended.code !== 0)
    throw new Error(`a valid command: ${JSON.stringify(ended)}`);
  return Math.max(1, ended.wall / ended.cpu);
}

/** A case again with nothing beside it; what else the machine does may spoil a try, so there are three. */
async function alone(number: number): Promise<Case> {
  for (let left = 2; ; left--) {
    const runner = new Runner();
    const before = await slowdownOf(runner);
    const found = await once(number, runner, before);
    runner.stop();
    if (found.fault === null || left === 0) return found;
  }
}

async function main(): Promise<number> {
  const started = performance.now();
  const numbers =
    values.only !== undefined
      ? [Number(values.only)]
      : Array.from({ length: Number(values.cases) }, (_, i) => i);
  const runners = [new Runner(), new Runner()].slice(0, Math.min(2, numbers.length));
  await prepare(runners[0]!);
  const results = new Map<number, Case>();
  const undamaged = values.only === undefined ? [...kinds] : [];
  const waiting = [...numbers];
  await Promise.all(
    runners.map(async (runner) => {
      for (let kind = undamaged.shift(); kind; kind = undamaged.shift()) await checkValid(kind, runner);
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        results.set(next, await once(next, runner, 1));
    }),
  );
  // What failed must fail alone too, in fresh processes, measured against what the machine gives meanwhile.
  const failed = [...results].filter(([, { fault }]) => fault !== null).map(([number]) => number);
  for (const number of failed) results.set(number, await alone(number));
  for (const runner of runners) runner.stop();
  if (values.only === undefined) fs.rmSync(root, { recursive: true, force: true });
  const all = [...results].sort(([a], [b]) => a - b);
  for (const [number, { kind, mutation, fault: what, line }] of all) {
    if (what !== null) console.log(`case ${number}: ${kind}, ${mutation}: ${what}`);
    else if (process.env.FUZZ_VERBOSE) console.log(`case ${number}: ${kind}, ${mutation}: ${line}`);
  }
  const faults = all.filter(([, one]) => one.fault !== null).length;
  const harmless = all.reduce((sum, [, one]) => sum + one.harmless, 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const drawn = `${harmless} harmless ones drawn anew`;
  console.log(
    `${all.length} cases, seed ${values.seed}: ${all.length - faults} refused with one line, ${faults} faults (${drawn}, ${seconds} s)`,
  );
  return faults > 0 ? 1 : 0;
}

process.exit(await main());
