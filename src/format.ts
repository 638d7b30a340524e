/** Seconds in words: `8 s`, `2 min`, `1 h 20 min`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes in binary units: `310 MB`, `1.4 GB`. */
export function bytes(count: number): string {
  const mega = count / 2 ** 20;
  return mega < 1000 ? `${Math.round(mega)} MB` : `${(mega / 1024).toFixed(1)} GB`;
}

/** A share from 0 to 1: `64.3 %`. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** A difference of shares in points, signed: `+30.0`; what rounds to zero has no sign. */
export function points(share: number): string {
  const value = Math.abs(100 * share).toFixed(1);
  if (value === '0.0') return value;
  return `${share < 0 ? '\u2212' : '+'}${value}`;
}

/** A p value as papers write it. */
export const pValue = (p: number): string => (p < 0.001 ? '< 0.001' : p.toPrecision(2));

/** Large counts with separators: `1,020`. */
export const count = (n: number): string => n.toLocaleString('en-US');

/** Time since `then` in words. */
export function ago(then: number, now: number): string {
  const seconds = (now - then) / 1000;
  if (seconds < 60) return 'just now';
  if (seconds < 86_400) return `${duration(seconds)} ago`;
  const days = Math.round(seconds / 86_400);
  return days === 1 ? 'yesterday' : `${days} days ago`;
}
