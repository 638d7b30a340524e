import type { JobEvent } from '../../engine/client.ts';
import type { Component } from '../../model/components.ts';
import type { Handlers } from '../commands/index.ts';
import { table } from '../render.ts';
import { meter, modelOf, withEngine } from './engine.ts';
import { patchOf } from './patch.ts';

type Attribution = JobEvent<'attribute'>;

export const attributeHandlers: Pick<Handlers, 'attribute'> = {
  attribute: async (values, io) => {
    const params = {
      model: modelOf(values),
      patch: patchOf(values),
      pairs: values.pairs,
      pair: values.pair === undefined ? null : values.pair - 1,
      components: values.components,
      gate: values.gate,
    };
    const progress = meter(io, 'attribute', 'pairs');
    const shown: string[] = [];
    const result = await withEngine((engine) =>
      engine.call('attribute', params, {
        signal: io.signal,
        onEvent: (event) => {
          const { event: _, done, total, gates, ...pair } = event;
          if (io.json) {
            const components = gates && { gates: Array.from(gates) };
            io.emit({ event: 'partial', kind: 'attribution', ...pair, ...components });
          } else shown.push(show(event, values.top));
          progress(done, total);
        },
      }),
    );
    const components = result.components?.slice(0, values.top) ?? null;
    const means =
      components && result.pairs > 1
        ? `mean over ${result.pairs} pairs\n${componentTable(components)}`
        : components
          ? componentTable(components)
          : '';
    return {
      data: { pairs: result.pairs, components: result.components },
      text: `${shown.join('\n')}${means}`,
    };
  },
};

function show(
  { index, id, desired, undesired, margin, gatedMargin, tokens }: Attribution,
  top: number,
): string {
  const [want, avoid] = [desired, undesired].map(({ text }) => JSON.stringify(text));
  const gated = gatedMargin === null ? '' : `, ${gatedMargin.toFixed(4)} with the gates`;
  const rows = tokens
    .map((token, position) => ({ ...token, position }))
    .sort((a, b) => Math.abs(b.attribution) - Math.abs(a.attribution))
    .slice(0, top)
    .map(({ position, text, attribution }) => [
      String(position),
      JSON.stringify(text),
      attribution.toFixed(5),
      attribution >= 0 ? 'desired' : 'undesired',
    ]);
  const title = `pair ${index + 1} (${id}): ${want} over ${avoid}, logit difference ${margin.toFixed(4)}${gated}\n`;
  return `${title}${table(['position', 'token', 'attribution', 'pushes toward'], rows)}`;
}

function componentTable(components: readonly (Component & { gradient: number })[]): string {
  const rows = components.map(({ kind, layer, index, gradient }) => [
    String(layer),
    kind,
    String(index),
    gradient.toExponential(3),
    gradient < 0 ? 'desired' : 'undesired',
  ]);
  return table(['layer', 'kind', 'index', 'gradient', 'pushes toward'], rows);
}
