import path from 'node:path';
import { InputError } from '../../errors.ts';
import type { TraceOptions } from '../../generate/traces.ts';
import { type EvaluateSettings, generateDefaults } from '../../pipeline/settings.ts';
import { type Manifest, readManifest } from '../../runs/manifest.ts';

/** Decoding settings that were given in place of others. */
export type GivenDecoding = Partial<Omit<EvaluateSettings, 'stop'>> & {
  stop?: { strings?: readonly string[] };
};

type Recorded = Partial<EvaluateSettings> | undefined;
type Stages = Readonly<Record<string, unknown>>;

/** Where a run's manifest records how problems are completed, the first that counts first. */
const places = {
  /** As the traces were made, for whoever goes on from them. */
  traces: ({ generate, evaluate }: Stages) => [generate, evaluate],
  /** As the patch was judged while it was trained, for whoever judges it again. */
  patch: ({ amplify, evaluate, generate }: Stages) => [
    (amplify as { evaluate?: Recorded } | undefined)?.evaluate,
    evaluate,
    generate,
  ],
} satisfies Record<string, (stages: Stages) => unknown[]>;

/**
 * How to complete problems: as given, else as the run did that the first of the sources lies in (a file or a folder of
 * it), else by default.
 */
export function decodingLike(
  which: keyof typeof places,
  sources: readonly (string | null)[],
  given: GivenDecoding,
): TraceOptions {
  const { maxTokens, batch, stop } = { ...generateDefaults, ...recorded(which, sources) };
  return {
    maxTokens: given.maxTokens ?? maxTokens,
    batch: given.batch ?? batch,
    stop: { ...stop, ...given.stop },
  };
}

function recorded(which: keyof typeof places, sources: readonly (string | null)[]): Recorded {
  for (const source of sources) {
    if (source === null) continue;
    const manifest = manifestAt(source) ?? manifestAt(path.dirname(source));
    // A stage that was taken over from another run records no settings.
    const found = manifest && (places[which](manifest.stages) as Recorded[]).find((stage) => stage?.stop);
    if (found) return found;
  }
  return undefined;
}

/** Null too for a file of that name that is no run's: whatever else lies in a folder is not this command's business. */
function manifestAt(folder: string): Manifest | null {
  try {
    return readManifest(folder);
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}
