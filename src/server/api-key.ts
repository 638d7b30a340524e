import type { SecretStorage } from 'vscode';

const NAME = 'circuitAmplifier.endpointApiKey';

/** The key of an OpenAI-compatible endpoint, in the system's key store. */
export const readApiKey = (secrets: SecretStorage): Thenable<string | undefined> => secrets.get(NAME);
export const writeApiKey = (secrets: SecretStorage, key: string): Thenable<void> => secrets.store(NAME, key);
export const removeApiKey = (secrets: SecretStorage): Thenable<void> => secrets.delete(NAME);
