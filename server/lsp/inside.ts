import path from 'node:path';

/** Whether a path leads into a folder, by its name alone: links are not followed. */
export function isInside(outer: string, inner: string): boolean {
  const way = path.relative(outer, path.resolve(inner));
  return way !== '..' && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way);
}
