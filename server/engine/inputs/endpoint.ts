import { connect } from '../../endpoint/completer.ts';
import { baseAddress, type EndpointSettings } from '../../endpoint/settings.ts';
import type { Remote } from '../../generate/completer.ts';
import type { RunContext } from '../../pipeline/stages/common.ts';

export type { EndpointSettings } from '../../endpoint/settings.ts';

/**
 * What a run's manifest says of a server: the model's name there. Where it stands and how it is reached may change
 * between two sessions, or two shards, of one run; the journal notes each.
 */
export function servedModel(endpoint: EndpointSettings | null): { endpoint?: { model: string } } {
  return endpoint ? { endpoint: { model: endpoint.model } } : {};
}

/** A server as the stages of a run use it: it is reached when there is work for it. */
export function remoteOf(
  endpoint: EndpointSettings | null,
  { model, run, signal, emit }: RunContext,
): Remote | null {
  if (!endpoint) return null;
  return {
    concurrency: endpoint.concurrency,
    connect: async (prompt, otherwise) => {
      run.note({ endpoint: { url: baseAddress(endpoint.url), model: endpoint.model } });
      const notice = (level: 'info' | 'warning', text: string) => emit({ event: 'notice', level, text });
      return connect(model, endpoint, prompt, { signal, notice, ...(otherwise && { otherwise }) });
    },
  };
}
