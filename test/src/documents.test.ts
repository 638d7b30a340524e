import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readExperiment } from '../../server/engine/experiment/experiment.ts';
import type { RunReport } from '../../server/protocol/runs.ts';
import {
  demoExperiment,
  experimentText,
  isExperimentFile,
  outlineOf,
} from '../../src/commands/experiment-file.ts';
import { comparisonText, reportText } from '../../src/commands/report-text.ts';

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
  };

  test('a report', () => {
    expect(reportText('demo', report, null)).toMatchInlineSnapshot(`
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
    expect(reportText('demo', report, pivots)).toContain(
      'Pivots of `/w/runs/first`: 41 pairs: 3 accepted, 1 changed.',
    );
  });

  test('a comparison', () => {
    const rows = [
      { name: 'target gain', a: 0.3, b: 0.25 },
      { name: 'only here', a: 1, b: null },
    ];
    expect(comparisonText('x', 'y', rows)).toMatchInlineSnapshot(`
      "# x and y

      | figure | x | y | difference |
      | --- | --: | --: | --: |
      | target gain | 0.3 | 0.25 | −0.05 |
      | only here | 1 |  |  |
      "
    `);
  });
});
