import type { Component } from '../model/components.ts';

const NAMES = { q: 'query head', k: 'key head', v: 'value head', mlp: 'neuron' } as const;

/** A component for people: `layer 3 query head 5`. Counted from 0, as in mask files. */
export const labelOf = ({ kind, layer, index }: Component): string =>
  `layer ${layer} ${NAMES[kind]} ${index}`;
