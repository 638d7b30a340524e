import { type Graph, type Node, topological } from './ir.ts';

/** One line per node, in execution order: `%3 = matmul{transB} %1 %2 : [B*T, 64]`. */
export function printGraph(graph: Graph): string {
  const order = topological(graph.outputs.values());
  const names = new Map(order.map((node, i) => [node, `%${i}`]));
  const lines = order.map(
    (node) => `${names.get(node)} = ${describe(node, names)} : ${node.dtype}[${node.shape.join(', ')}]`,
  );
  for (const [name, node] of graph.outputs) lines.push(`${name} <- ${names.get(node)}`);
  return lines.join('\n');
}

function describe(node: Node, names: ReadonlyMap<Node, string>): string {
  const { kind, ...attributes } = node.op as { kind: string } & Record<string, unknown>;
  const shown = Object.entries(attributes)
    .filter(([, value]) => value !== false)
    .map(([key, value]) =>
      value === true ? key : `${key}=${Array.isArray(value) ? value.join(' ') : value}`,
    );
  const inputs = node.inputs.map((input) => names.get(input));
  return [shown.length > 0 ? `${kind}{${shown.join(', ')}}` : kind, ...inputs].join(' ');
}
