import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readExperiment } from '../../server/engine/experiment/experiment.ts';
import type { RunComparison, RunReport } from '../../server/protocol/runs.ts';
import {
  demoExperiment,
  experimentText,
  isExperimentFile,
  outlineOf,
} from '../../src/commands/experiment-file.ts';
import { type Page, pageAddress, pageOf, pageText } from '../../src/commands/pages.ts';
import { comparisonText, reportText } from '../../src/commands/report-text.ts';
import type { Server } from '../../src/server/server.ts';

const demo = path.resolve(import.meta.dirname, '../../media/demo');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'experiment-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

describe('experiment files', () => {
  test.each([
    ['experiment.json', true],
    ['/a/b/experiment.json', true],
    ['C:\\a\\my.experiment.json', true],
    ['/a/myexperiment.json', false],
    ['/a/experiment.jsonl', false],
  ])('%s: %s', (file, is) => {
    expect(isExperimentFile(file)).toBe(is);
  });

  const data = (name: string) => path.join(demo, 'data', name);

  test.each([
    ['split by the seed', [data('train.jsonl')], []],
    [
      'three files and controls',
      [data('train.jsonl'), data('val.jsonl'), data('test.jsonl')],
      [data('controls.jsonl')],
    ],
  ] as const)('a new one is accepted by the engine: %s', async (_, problems, controls) => {
    const file = path.join(folder, 'small.experiment.json');
    fs.writeFileSync(
      file,
      experimentText({ file, model: path.join(demo, 'model'), problems: problems as never, controls }),
    );
    const text = fs.readFileSync(file, 'utf8');
    expect(text).not.toContain('\\\\');
    const read = await readExperiment(file);
    expect(read.model).toBe(path.join(demo, 'model'));
    expect(read.out).toBe(path.join(folder, 'runs', 'small'));
    expect(outlineOf(file, text)).toEqual({ out: path.join(folder, 'runs', 'small') });
  });

  test('one beside its model keeps relative paths', () => {
    const text = experimentText({
      file: '/w/experiment.json',
      model: '/w',
      problems: ['/w/p.jsonl'],
      controls: [],
    });
    expect(JSON.parse(text)).toEqual({ model: '.', out: 'runs/w', problems: 'p.jsonl', seed: 0 });
  });

  test('the demo’s copy stays within its folder, and is otherwise the same', async () => {
    const text = fs.readFileSync(path.join(demo, 'experiment.json'), 'utf8');
    const copy = demoExperiment(text);
    const { $schema: _, out: __, ...rest } = JSON.parse(text);
    expect(JSON.parse(copy)).toEqual({ ...rest, out: 'runs/demo' });
    expect(copy).not.toContain('..');
  });

  test('an outline survives text that is being written', () => {
    expect(outlineOf('/w/experiment.json', '{ "out": "runs/x", ')).toEqual({
      out: path.resolve('/w/runs/x'),
    });
    for (const text of ['', '[]', 'null', '{"out": 3}']) expect(outlineOf('/w/e.json', text).out).toBeNull();
  });
});

describe('pages', () => {
  const side = (accuracy: number) => ({ accuracy, n: 1020, interval: [0, 1] as [number, number] });
  const report: RunReport = {
    folder: '/w/runs/demo',
    suites: [
      {
        name: 'target',
        kind: 'target',
        base: side(0.643),
        amplified: side(0.943),
        gain: 0.3,
        gainInterval: [0.271, 0.329],
        p: 1e-9,
      },
      {
        name: 'a|b',
        kind: 'control',
        base: side(1),
        amplified: side(0.99),
        gain: -0.01,
        gainInterval: [-0.02, 0],
        p: 0.25,
      },
    ],
    circuit: { components: 16, total: 1600, weights: 2048, byKind: { mlp: 16, q: 0 } },
    variants: [{ name: 'lora', gain: 0.292, worstControl: -0.005 }],
    pivots: null,
  };

  test('a report', () => {
    expect(reportText('demo', report)).toMatchInlineSnapshot(`
      "# demo

      16 of 1,600 components (1.0 %): 16 mlp; 2,048 weights changed.

      | suite | base | amplified | gain, points | 95 % | p | n |
      | --- | --: | --: | --: | --: | --: | --: |
      | **target** | 64.3 % | 94.3 % | +30.0 | [+27.1, +32.9] | < 0.001 | 1,020 |
      | a\\|b | 100.0 % | 99.0 % | −1.0 | [−2.0, 0.0] | 0.25 | 1,020 |

      Paired on the same items. 95 %: bootstrap interval of the gain; p: exact McNemar test.

      ## Matched controls

      | what is trained | gain, points | control suite that fell most |
      | --- | --: | --: |
      | lora | +29.2 | −0.5 |

      Files: \`/w/runs/demo\`
      "
    `);
    const pivots = { source: '/w/runs/first', pairs: 41, accepted: 3, edited: 1, marked: 0 };
    expect(reportText('demo', { ...report, pivots })).toContain(
      'Pivots of `/w/runs/first`: 41 pairs: 3 accepted, 1 changed.',
    );
  });

  const comparison: RunComparison = {
    folders: ['/w/runs/x', '/w/runs/y'],
    names: ['x', 'y'],
    missing: ['y has no report yet: its figures are of what it has answered so far'],
    suites: [
      {
        name: 'test',
        role: 'target',
        unit: 'accuracy',
        a: { value: 0.9, n: 100, base: 0.6 },
        b: { value: 0.85, n: 100, base: 0.6 },
        paired: {
          n: 100,
          unpaired: 20,
          a: 0.9,
          b: 0.85,
          difference: -0.05,
          interval: [-0.1, 0.01],
          templateInterval: [-0.12, 0.02],
          p: 0.18,
          gained: 3,
          lost: 8,
          templates: [
            { template: 'sum', n: 50, a: 0.9, b: 0.9, gained: 2, lost: 2 },
            { template: 'price', n: 50, a: 0.9, b: 0.8, gained: 1, lost: 6 },
          ],
          flips: { gained: ['p1', 'p2', 'p3'], lost: Array.from({ length: 15 }, (_, i) => `q${i}`) },
        },
      },
      {
        name: 'sort',
        role: 'control',
        unit: 'accuracy',
        a: { value: 1, n: 40, base: 1 },
        b: null,
        paired: null,
      },
      {
        name: 'text word_perplexity',
        role: 'task',
        unit: 'nats',
        a: { value: 3, n: 30, base: null },
        b: { value: 2, n: 30, base: null },
        paired: {
          ...{
            n: 30,
            unpaired: 0,
            a: 3,
            b: 2,
            difference: -1,
            interval: [-1.2, -0.8],
            templateInterval: null,
          },
          ...{ p: null, gained: 0, lost: 0, templates: [], flips: { gained: [], lost: [] } },
        },
      },
    ],
    variants: [{ name: 'random', a: 0.14, b: null }],
    settings: [{ name: 'amplify.steps', a: '60', b: '120' }],
    circuit: {
      ...{ a: 16, b: 16, both: 8, jaccard: 1 / 3 },
      byKind: {
        q: { a: 0, b: 0, both: 0, jaccard: null },
        mlp: { a: 16, b: 16, both: 8, jaccard: 1 / 3 },
      },
      common: [
        { kind: 'mlp', layer: 1, index: 7 },
        { kind: 'mlp', layer: 2, index: 9 },
      ],
    },
  };

  test('a comparison', () => {
    expect(comparisonText(comparison)).toMatchInlineSnapshot(`
      "# x and y

      - y has no report yet: its figures are of what it has answered so far

      | suite | base of x | base of y | x | y | difference | 95 % | p | gained | lost | n |
      | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
      | **target** | 60.0 % | 60.0 % | 90.0 % | 85.0 % | −5.0 | [−10.0, +1.0] | 0.18 | 3 | 8 | 100 (20 in one only) |
      | sort | 100.0 % |  | 100.0 % |  |  |  |  |  |  | 40 |
      | text word_perplexity (nats) |  |  | 3 | 2 | −1 | [−1.2, −0.8] |  |  |  | 30 |

      Paired on what both answered; difference: y less x. 95 %: bootstrap interval of the difference; p: exact McNemar test; gained: wrong in x, right in y.

      ## Target by template

      2 templates. 95 % of the difference when whole templates are resampled: [−12.0, +2.0].

      | template | x | y | difference | gained | lost | n |
      | --- | --: | --: | --: | --: | --: | --: |
      | price | 90.0 % | 80.0 % | −10.0 | 1 | 6 | 50 |
      | sum | 90.0 % | 90.0 % | 0.0 | 2 | 2 | 50 |

      Gained: p1, p2, p3.

      Lost: q0, q1, q2, q3, q4, q5, q6, q7, q8, q9, q10, q11 and 3 more.

      ## Matched controls: gain on the target, points

      | what is trained | x | y |
      | --- | --: | --: |
      | random | +14.0 |  |

      ## Settings that differ

      | setting | x | y |
      | --- | --: | --: |
      | amplify.steps | 60 | 120 |

      ## Circuits

      | components | x | y | in both | Jaccard |
      | --- | --: | --: | --: | --: |
      | all | 16 | 16 | 8 | 0.33 |
      | mlp | 16 | 16 | 8 | 0.33 |

      In both: mlp 1.7, mlp 2.9.

      Files: \`/w/runs/x\`, \`/w/runs/y\`
      "
    `);
  });

  test('a page is made again from its address alone', async () => {
    const asked: unknown[] = [];
    const server = {
      request: (async ({ method }: { method: string }, params: unknown) => {
        asked.push([method, params]);
        if (method === 'cca/runs/compare') return comparison;
        return (params as { folder: string }).folder === '/w/runs/demo' ? report : null;
      }) as Server['request'],
    };
    const again = (title: string, page: Page) => {
      const address = pageAddress(title, page);
      expect(address.path).toMatch(/^\/[^/]+\.md$/);
      return pageText(server, pageOf(address.query));
    };
    expect(await again('Report of a/b', { report: '/w/runs/demo' })).toBe(reportText('demo', report));
    expect(await again('x and y', { compare: ['/w/runs/x', '/w/runs/y'] })).toBe(comparisonText(comparison));
    expect(asked).toEqual([
      ['cca/runs/report', { folder: '/w/runs/demo' }],
      ['cca/runs/compare', { a: '/w/runs/x', b: '/w/runs/y' }],
    ]);
    expect(await again('r', { report: '/w/runs/other' })).toMatch(/^other has no report/);
    const failing = { request: () => Promise.reject(new Error('is not a run folder')) };
    expect(await pageText(failing, { report: '/w' })).toBe('This page cannot be made: is not a run folder\n');
    for (const query of ['', 'x', 'null', '{"report":3}', '{"compare":["a"]}']) {
      expect(await pageText(server, pageOf(query))).toBe('This page is not known.\n');
    }
  });
});
