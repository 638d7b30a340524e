import { type EndpointSettings, endpointDefaults } from '../../endpoint/settings.ts';

export { endpointDefaults } from '../../endpoint/settings.ts';

/** A server as the command line names it; null where it names none. */
export function endpointOf(values: {
  endpoint: string | undefined;
  endpointModel: string | undefined;
  endpointConcurrency: number | undefined;
  endpointTimeout: number | undefined;
  endpointRetries: number | undefined;
  endpointKeyEnv: string | undefined;
}): EndpointSettings | null {
  if (values.endpoint === undefined || values.endpointModel === undefined) return null;
  return {
    url: values.endpoint,
    model: values.endpointModel,
    concurrency: values.endpointConcurrency ?? endpointDefaults.concurrency,
    timeout: values.endpointTimeout ?? endpointDefaults.timeout,
    retries: values.endpointRetries ?? endpointDefaults.retries,
    apiKeyEnv: values.endpointKeyEnv ?? endpointDefaults.apiKeyEnv,
  };
}
