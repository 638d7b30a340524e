/** Node modules that reach the network, or run text as code. */
export const REFUSED_NODE = [
  'dgram',
  'dns',
  'http',
  'http2',
  'https',
  'inspector',
  'net',
  'repl',
  'tls',
  'vm',
];
/** Rows of the Markdown table under a header: the code spans of the first and of the last column. */
export function tableRows(markdown: string, firstHeader: string): [string, string[]][] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${firstHeader} |`));
  if (start < 0) throw new Error(`ARCHITECTURE.md has no table that starts with ${firstHeader}`);
  const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) => {
    const cells = line.split('|').slice(1, -1);
    const spans = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
    return [spans(cells[0]!)[0]!, spans(cells.at(-1)!)];
  });
}

/** Module specifiers of static, re-exporting, side-effect, dynamic and type imports, and of require. */
export function specifiers(source: string): string[] {
  const forms = [
    /^\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]/gm,
    /^\s*import\s*['"]([^'"]+)['"]/gm,
    /\b(?:import|require)\(\s*['"]([^'"]+)['"]/g,
  ];
  return forms.flatMap((form) => [...source.matchAll(form)].map((match) => match[1]!));
}
