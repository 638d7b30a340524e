/**
 * Tensor extents. A number, or a polynomial in named sizes in canonical form ("2*B*T+P"), so that equal
 * extents are equal strings and a reshape can be checked while the graph is built.
 */
export type Dim = number | string;

type Monomial = { coefficient: number; names: string[] };

function terms(dim: Dim): Monomial[] {
  if (typeof dim === 'number') return dim === 0 ? [] : [{ coefficient: dim, names: [] }];
  return dim.split('+').map((term) => {
    let coefficient = 1;
    const names: string[] = [];
    for (const factor of term.split('*')) {
      if (/^\d+$/.test(factor)) coefficient *= Number(factor);
      else names.push(factor);
    }
    return { coefficient, names };
  });
}

function canonical(monomials: Monomial[]): Dim {
  const sums = new Map<string, number>();
  for (const { coefficient, names } of monomials) {
    const key = [...names].sort().join('*');
    sums.set(key, (sums.get(key) ?? 0) + coefficient);
  }
  const constant = sums.get('') ?? 0;
  sums.delete('');
  if (sums.size === 0) return constant;
  const parts = [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, coefficient]) => (coefficient === 1 ? key : `${coefficient}*${key}`));
  if (constant !== 0) parts.push(String(constant));
  return parts.join('+');
}

/** Sum of extents, canonical. */
export function dimAdd(...dims: Dim[]): Dim {
  return canonical(dims.flatMap(terms));
}

/** Product of extents, canonical. */
export function dimMul(...dims: Dim[]): Dim {
  let product: Monomial[] = [{ coefficient: 1, names: [] }];
  for (const dim of dims) {
    const factors = terms(dim);
    product = product.flatMap((a) =>
      factors.map((b) => ({ coefficient: a.coefficient * b.coefficient, names: [...a.names, ...b.names] })),
    );
  }
  return canonical(product);
}

/** The monomials of an extent, for whoever must compute it at run time. */
export function dimTerms(dim: Dim): readonly { coefficient: number; names: readonly string[] }[] {
  return terms(dim);
}

/** Broadcast two shapes as NumPy does; throws with both shapes when they do not fit. */
export function broadcastShapes(a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new Error(`shapes [${a}] and [${b}] do not broadcast at axis ${i}: ${x} against ${y}`);
  });
}
