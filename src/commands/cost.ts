/** What a job costs, in words. */
import type { JobCost, Span } from '../../server/protocol/jobs.ts';
import { bytes, duration } from '../format.ts';
import { stageLabel } from '../jobs/describe.ts';

/** `2 to 5 min`, `50 s to 3 min`; `2 min` where both ends read alike. */
export function span({ low, high }: Span): string {
  const [from, to] = [duration(low), duration(high)];
  if (from === to) return to;
  const [, number, unit] = /^(\d+) (\w+)$/.exec(from) ?? [];
  return number !== undefined && to.endsWith(` ${unit}`) && !/\d .*\d/.test(to)
    ? `${number} to ${to}`
    : `${from} to ${to}`;
}

/** `about 2 to 5 min on CPU, 2 threads · 350 MB of memory · 12 MB on disk` */
export function costLine({ seconds, memory, disk, free, device, threads }: JobCost): string {
  const where = device === null ? '' : ` on ${device.toUpperCase()}`;
  const many = threads === null ? '' : `, ${threads === 1 ? '1 thread' : `${threads} threads`}`;
  const short = disk !== null && free !== null && free < disk ? `, only ${bytes(free)} free` : '';
  return [
    seconds === null ? 'time not known' : `about ${span(seconds)}${where}${many}`,
    `${bytes(memory)} of memory`,
    disk !== null && `${bytes(Math.max(disk, 2 ** 20))} on disk${short}`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Stage by stage, and what the times are from. */
export function stagesLine({ stages, from }: JobCost): string {
  const parts = stages.map(({ name, seconds, kept }) => {
    const what = kept ? 'kept' : seconds === null ? null : span(seconds);
    return what === null ? stageLabel(name) : `${stageLabel(name)} ${what}`;
  });
  if (from === 'measurement') parts.push('forecast from a moment’s measurement');
  return parts.join(' · ');
}
