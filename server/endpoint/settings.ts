import { InputError } from '../errors.ts';

/** A server that completes texts with the model, by the protocol of OpenAI's completions (vLLM, SGLang, llama.cpp). */
export interface EndpointSettings {
  /** Where it answers, with its version (`http://host:8000/v1`) or without. */
  url: string;
  /** The model's name there. */
  model: string;
  /** Requests in flight at most. */
  concurrency: number;
  /** Seconds without a byte after which a request is given up and sent again. */
  timeout: number;
  /** How often a request that failed is sent again. */
  retries: number;
  /** Environment variable that holds the API key; null where none is needed. The key itself is stored nowhere. */
  apiKeyEnv: string | null;
}

export const endpointDefaults = {
  concurrency: 32,
  timeout: 300,
  retries: 10,
  apiKeyEnv: null,
} as const satisfies Partial<EndpointSettings>;

/**
 * The address that paths are put behind: `scheme://host/.../v1`.
 * @throws InputError for what is no such address, or has a secret in it; the message does not repeat it
 */
export function baseAddress(text: string): string {
  const remedy = 'Give it as http://HOST:PORT or https://HOST/v1.';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new InputError('endpoint url', 'is not an http or https address', remedy);
  }
  if (url.username || url.password || url.search || url.hash) {
    const what = 'has a user name, a password or a query in it, which would be recorded';
    throw new InputError('endpoint url', what, `${remedy} A key goes into an environment variable.`);
  }
  const path = url.pathname.replace(/\/+$/, '');
  return `${url.origin}${/\/v\d+$/.test(path) ? path : `${path}/v1`}`;
}

/**
 * The API key, from the environment.
 * @throws InputError where the variable is not set, or holds what cannot be sent
 */
export function apiKey({ apiKeyEnv }: EndpointSettings): string | null {
  if (apiKeyEnv === null) return null;
  const key = process.env[apiKeyEnv]?.trim();
  if (!key) {
    throw new InputError(`environment variable ${apiKeyEnv}`, 'is not set', 'Put the API key into it.');
  }
  if (!/^[\x21-\x7e]+$/.test(key)) {
    const what = 'holds characters that a key cannot have';
    throw new InputError(`environment variable ${apiKeyEnv}`, what, 'Put the API key alone into it.');
  }
  return key;
}
