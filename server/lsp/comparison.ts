/** A comparison of two runs as the editor shows it. */
import type { RunComparison } from '../pipeline/compare.ts';
import type * as protocol from '../protocol/runs.ts';

type Paired = NonNullable<RunComparison['suites'][number]['paired']>;

/** A comparison without the texts of its answers. */
export function comparisonOf({ suites, ...rest }: RunComparison): protocol.RunComparison {
  const shown = suites.map((suite) => ({ ...suite, paired: suite.paired && pairedOf(suite.paired) }));
  return { ...rest, suites: shown };
}

function pairedOf(paired: Paired): NonNullable<protocol.ComparedSuite['paired']> {
  const { n, unpaired } = paired;
  const pairOf = ({ low, high }: { low: number; high: number }): [number, number] => [low, high];
  if (paired.kind !== 'accuracy') {
    const { a, b, difference, interval } = paired;
    const none = { templateInterval: null, p: null, gained: 0, lost: 0, templates: [] };
    const flips = { gained: [], lost: [] };
    return { n, unpaired, a, b, difference, interval: pairOf(interval), ...none, flips };
  }
  const { comparison, templates, flips } = paired;
  const { base, amplified, gain, interval, templateInterval, p, gained, lost } = comparison;
  const ids = (kind: (typeof flips)[number]['kind']) =>
    flips.filter((flip) => flip.kind === kind).map(({ id }) => id);
  return {
    n,
    unpaired,
    a: base.accuracy,
    b: amplified.accuracy,
    difference: gain,
    interval: pairOf(interval),
    templateInterval: templateInterval && pairOf(templateInterval),
    p,
    gained,
    lost,
    templates,
    flips: { gained: ids('wrong-to-right'), lost: ids('right-to-wrong') },
  };
}
