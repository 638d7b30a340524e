/**
 * Damages small valid files in seeded ways and runs `cca` on each. Every case must end in exit code 2 with one line, or,
 * where the damage happens to be harmless, in success; none in a crash, in more than 5 s, or in more memory than the file
 * and 500 MB. `npm run fuzz -- --cases 200 --seed 1`; `--only N` runs one case, and leaves its folder.
 */
import { type ChildProcess, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Rng } from '../../server/random.ts';
import { mutationsOf } from './mutate.ts';
import { kinds, preparations, writeValid } from './valid.ts';
import type { Ended } from './worker.ts';

/** Processor time of a case: what else the machine does must not count. */
const CPU_MS = 5000;
/** A process that waits for something that does not come. */
const WALL_MS = 60_000;
const MEMORY = 500e6;

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
      const timer = setTimeout(() => settle(`no end after ${WALL_MS / 1000} s`), WALL_MS);
      child.on('message', onMessage).on('exit', onExit);
      child.send(argv);
    });
  }

  stop(): void {
    this.child?.kill('SIGKILL');
    this.child = null;
  }
}

/** What is wrong with how a case ended; null where nothing is. */
function fault(ended: Ended | string, bytes: number): string | null {
  if (typeof ended === 'string') return ended;
  const { code, stderr, cpu, peak } = ended;
  const lines = stderr.trimEnd().split('\n');
  if (code !== 0 && code !== 2) return `exit code ${code}: ${lines[0]}`;
  if (code === 2 && (lines.length !== 1 || lines[0] === ''))
    return `${lines.length} lines: ${stderr.slice(0, 300)}`;
  if (code === 2 && lines[0]!.length > 2000) return `a line of ${lines[0]!.length} characters`;
  if (cpu > CPU_MS) return `${(cpu / 1000).toFixed(1)} s of processor time`;
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

interface Case {
  kind: string;
  mutation: string;
  code: number | null;
  fault: string | null;
  line: string;
}

async function once(number: number, runner: Runner): Promise<Case> {
  const rng = new Rng(values.seed!).fork(`case ${number}`);
  const kind = kinds[number % kinds.length]!;
  const options = mutationsOf(kind);
  const mutation = options[rng.int(options.length)]!;
  const folder = path.join(root, `case-${number}`);
  fs.cpSync(valid, folder, { recursive: true });
  // The manifest of the run folder names the model's folder and the problems' file.
  for (const name of ['run/manifest.json']) {
    const file = path.join(folder, name);
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replaceAll(valid, folder));
  }
  const file = path.join(folder, kind.file);
  mutation.apply(file, rng.fork('damage'));
  const bytes = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  const ended = await runner.run(kind.command((name) => path.join(folder, name)));
  if (values.only === undefined) fs.rmSync(folder, { recursive: true, force: true });
  else console.log(`${folder}\ncca ${kind.command((name) => path.join(folder, name)).join(' ')}`);
  const whole = typeof ended === 'string' ? null : ended;
  return {
    kind: kind.name,
    mutation: mutation.name,
    code: whole?.code ?? null,
    fault: fault(ended, bytes),
    line: whole?.stderr.trim() ?? '',
  };
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
  const waiting = [...numbers];
  await Promise.all(
    runners.map(async (runner) => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        results.set(next, await once(next, runner));
      runner.stop();
    }),
  );
  if (values.only === undefined) fs.rmSync(root, { recursive: true, force: true });
  const all = [...results].sort(([a], [b]) => a - b);
  for (const [number, { kind, mutation, fault: what, code, line }] of all) {
    if (what !== null) console.log(`case ${number}: ${kind}, ${mutation}: ${what}`);
    else if (process.env.FUZZ_VERBOSE) console.log(`case ${number}: ${kind}, ${mutation}: ${code} ${line}`);
  }
  const count = (test: (one: Case) => boolean) => all.filter(([, one]) => test(one)).length;
  const faults = count((one) => one.fault !== null);
  const refused = count((one) => one.fault === null && one.code === 2);
  const harmless = count((one) => one.fault === null && one.code === 0);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${all.length} cases, seed ${values.seed}: ${refused} refused with one line, ${harmless} harmless, ${faults} faults (${seconds} s)`,
  );
  return faults > 0 || 4 * harmless > all.length ? 1 : 0;
}

process.exit(await main());
