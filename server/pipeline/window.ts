/**
 * Works on items side by side, at most `width` at once, and hands the results over in the items' order. After a failure
 * nothing more is begun; it is thrown once what was under way has ended.
 */
export async function* sideBySide<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<{ item: T; result: R }> {
  const open: { item: T; result: Promise<R> }[] = [];
  let next = 0;
  try {
    while (next < items.length || open.length > 0) {
      while (open.length < width && next < items.length) {
        const item = items[next++]!;
        const result = work(item);
        // A failure is thrown in its turn; until then it must not count as unhandled.
        result.catch(() => undefined);
        open.push({ item, result });
      }
      const { item, result } = open.shift()!;
      yield { item, result: await result };
    }
  } finally {
    await Promise.allSettled(open.map(({ result }) => result));
  }
}
