/** Pages of figures: what one is about is in its address, so that its text can be made again at any time. */
import path from 'node:path';
import { compare, report } from '../../server/protocol/runs.ts';
import type { Server } from '../server/server.ts';
import { comparisonText, reportText } from './report-text.ts';

export type Page = { report: string } | { compare: readonly [string, string] };

/** Path and query of a page's address. */
export const pageAddress = (title: string, page: Page): { path: string; query: string } => ({
  path: `/${title.replaceAll(/[\\/?#]/g, '-')}.md`,
  query: JSON.stringify(page),
});

/** @returns null for an address of something else */
export function pageOf(query: string): Page | null {
  let page: Partial<{ report: unknown; compare: unknown }> | null = null;
  try {
    page = JSON.parse(query);
  } catch {
    // Not one of ours.
  }
  if (typeof page?.report === 'string') return { report: page.report };
  const two = page?.compare;
  if (!Array.isArray(two) || two.length !== 2 || two.some((one) => typeof one !== 'string')) return null;
  return { compare: two as [string, string] };
}

/** A page's text as Markdown; one line on why where there is none. */
export async function pageText(server: Pick<Server, 'request'>, page: Page | null): Promise<string> {
  if (!page) return 'This page is not known.\n';
  try {
    if ('compare' in page) {
      const [a, b] = page.compare;
      return comparisonText(await server.request(compare, { a, b }));
    }
    const folder = page.report;
    const made = await server.request(report, { folder });
    const name = path.basename(folder);
    return made
      ? reportText(name, made)
      : `${name} has no report: it is written at the end of the evaluation.\n`;
  } catch (reason) {
    return `This page cannot be made: ${reason instanceof Error ? reason.message : String(reason)}\n`;
  }
}
