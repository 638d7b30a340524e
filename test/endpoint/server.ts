/** A server of a model within the test's process: the completions protocol in the dialects that servers speak, with faults. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { neverAborted } from '../../server/control.ts';
import { type Completer, completerOf } from '../../server/generate/completer.ts';
import { Runner } from '../../server/generate/forward.ts';
import type { Model } from '../../server/model/model.ts';
import { Rng } from '../../server/random.ts';

/**
 * How a server takes prompts and tells tokens:
 * - vllm: ids as `token_ids`; old-vllm: as `token_id:N` among the log-probabilities; llama.cpp: in `logprobs.content`
 * - llama-cpp-python: prompts as text only, tokens as texts; with `logits_all` off it fails on log-probabilities
 * - openai: refuses fields it does not know, tells text and usage
 * - plain: takes whatever comes, tells nothing but text
 */
export type Dialect =
  | 'vllm'
  | 'old-vllm'
  | 'llama.cpp'
  | 'llama-cpp-python'
  | 'no-logits'
  | 'openai'
  | 'plain';

/** The stream goes on after so many tokens in this way. */
export interface Break {
  after: number;
  how: 'cut' | 'end' | 'garbage' | 'error' | 'silence' | 'abort';
}

export type Fault =
  | { status: number; headers?: Record<string, string>; body?: string }
  /** Nothing comes for so long. */
  | { silence: number }
  | Break;

// biome-ignore lint/suspicious/noExplicitAny: whatever the client sends
export type Body = Record<string, any>;

export interface ServerOptions {
  dialect?: Dialect;
  name?: string;
  /** API key that is asked for. */
  key?: string;
  /** Longest prompt and completion together. */
  context?: number;
  /** What goes wrong with the nth completion request (from 0), if anything. */
  fault?: (n: number, body: Body) => Fault | undefined;
  /** Answers of the server as it would give them, changed. */
  change?: (answer: Body) => void;
  /** Milliseconds between two tokens. */
  pause?: number;
}

const OPENAI_FIELDS = new Set([
  ...['model', 'prompt', 'max_tokens', 'temperature', 'top_p', 'presence_penalty', 'frequency_penalty'],
  ...['seed', 'stream', 'logprobs'],
]);

export class FakeServer {
  readonly bodies: Body[] = [];
  /** Authorization headers. */
  readonly keys: (string | undefined)[] = [];
  mostAtOnce = 0;
  /** Streams that the client left before they ended. */
  left = 0;
  /** Arrival of every request, performance.now(). */
  readonly times: number[] = [];
  url = '';
  options: ServerOptions;
  private readonly model: Model;
  private readonly completer: Completer;
  private readonly server: http.Server;
  private queue: Promise<unknown> = Promise.resolve();
  private open = 0;

  private constructor(model: Model, runner: Runner, options: ServerOptions) {
    this.model = model;
    this.completer = completerOf(runner);
    this.options = options;
    this.server = http.createServer((request, response) => void this.handle(request, response));
  }

  static async start(model: Model, options: ServerOptions = {}, port = 0): Promise<FakeServer> {
    const fake = new FakeServer(model, await Runner.create(model), options);
    await new Promise<void>((resolve) => fake.server.listen(port, '127.0.0.1', resolve));
    fake.url = `http://127.0.0.1:${(fake.server.address() as AddressInfo).port}`;
    return fake;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { dialect = 'vllm', name = 'demo', key } = this.options;
    const send = (status: number, value: unknown, headers = {}) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof value === 'string' ? value : JSON.stringify(value));
    };
    this.keys.push(request.headers.authorization);
    if (key !== undefined && request.headers.authorization !== `Bearer ${key}`) {
      // As some do: the refusal repeats what it refuses.
      return send(401, { error: { message: `Incorrect API key: ${request.headers.authorization}` } });
    }
    if (request.url === '/v1/models') {
      if (dialect === 'plain') return send(404, 'Not Found');
      return send(200, { object: 'list', data: [{ id: name }, { id: 'other' }] });
    }
    let text = '';
    for await (const piece of request) text += piece;
    const body = JSON.parse(text) as Body;
    const n = this.bodies.push(body) - 1;
    this.times.push(performance.now());
    if (request.url !== '/v1/completions') return send(404, { detail: 'Not Found' });
    if (dialect === 'plain' && body.model !== name) {
      return send(404, { error: { message: `The model \`${body.model}\` does not exist.`, code: 404 } });
    }
    const fault = this.options.fault?.(n, body);
    if (fault && 'status' in fault) return send(fault.status, fault.body ?? '', fault.headers);
    if (fault && 'silence' in fault) await new Promise((go) => setTimeout(go, fault.silence));
    const refusal = this.refusal(dialect, body);
    if (refusal) return send(...refusal);
    this.open++;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.open);
    response.on('close', () => {
      this.open--;
      if (!response.writableFinished) this.left++;
    });
    const prompt: number[] =
      typeof body.prompt === 'string' ? this.model.tokenizer.encode(body.prompt) : body.prompt;
    const { context = 4096 } = this.options;
    if (prompt.length + body.max_tokens > context) {
      const message = `This model's maximum context length is ${context} tokens, you asked for ${prompt.length + body.max_tokens}.`;
      return send(400, { object: 'error', message, code: 400 });
    }
    const made = await this.make(prompt, body);
    await this.answer(response, body, prompt, made, fault && 'how' in fault ? fault : undefined);
  }

  private refusal(dialect: Dialect, body: Body): [number, unknown] | null {
    const isText = dialect === 'llama-cpp-python' || dialect === 'no-logits' || dialect === 'openai';
    if (dialect === 'openai') {
      const stranger = Object.keys(body).find((field) => !OPENAI_FIELDS.has(field));
      if (stranger) return [400, { error: { message: `Unrecognized request argument: ${stranger}` } }];
    }
    if (isText && typeof body.prompt !== 'string') return [422, { detail: [{ msg: 'prompt is no string' }] }];
    if (dialect === 'no-logits' && body.logprobs !== undefined) {
      return [500, { error: { message: 'logprobs is not supported' } }];
    }
    return null;
  }

  /** One after the other: the completions of the model itself, whatever else is asked at the same time. */
  private make(prompt: number[], body: Body): Promise<{ ids: number[]; truncated: boolean }> {
    const eos = new Set(this.model.config.eosTokenIds);
    const work = this.queue.then(async () => {
      const [completion] = await this.completer.complete(
        [
          {
            ids: prompt,
            sampling: { temperature: body.temperature, topP: body.top_p, topK: body.top_k ?? 0 },
            ...(body.seed !== undefined && { rng: new Rng(body.seed) }),
            maxTokens: body.max_tokens,
          },
        ],
        { batch: 1, signal: neverAborted, stop: (ids) => eos.has(ids.at(-1)!) },
      );
      return completion!;
    });
    this.queue = work.catch(() => undefined);
    return work;
  }

  private async answer(
    response: http.ServerResponse,
    body: Body,
    prompt: readonly number[],
    made: { ids: number[]; truncated: boolean },
    fault: Break | undefined,
  ): Promise<void> {
    const eos = new Set(this.model.config.eosTokenIds);
    const shown = made.ids.filter((id) => !eos.has(id));
    const finish = made.truncated ? 'length' : 'stop';
    const usage = { prompt_tokens: prompt.length, completion_tokens: shown.length };
    if (!body.stream) {
      const choice = this.choice(body, shown, this.text(shown), finish);
      const first = { prompt_token_ids: body.return_token_ids ? prompt : undefined };
      const answer: Body = { choices: [{ ...choice, ...first }], usage };
      if (this.options.dialect === 'plain') delete answer.usage;
      this.options.change?.(answer);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answer));
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    const write = (data: string) => response.write(`data: ${data}\n\n`);
    for (let i = 0; i <= shown.length; i++) {
      if (response.destroyed) return;
      if (fault?.after === i && (await this.misbehave(response, fault.how))) return;
      if (this.options.pause) await new Promise((go) => setTimeout(go, this.options.pause));
      if (i === shown.length) break;
      const text = this.text(shown.slice(0, i + 1)).slice(this.text(shown.slice(0, i)).length);
      const piece: Body = { choices: [this.choice(body, [shown[i]!], text, null)] };
      this.options.change?.(piece);
      write(JSON.stringify(piece));
    }
    write(JSON.stringify({ choices: [{ index: 0, text: '', logprobs: null, finish_reason: finish }] }));
    if (body.stream_options?.include_usage) write(JSON.stringify({ choices: [], usage }));
    response.end('data: [DONE]\n\n');
  }

  /** True when that was all. */
  private async misbehave(response: http.ServerResponse, how: Break['how']): Promise<boolean> {
    if (how === 'cut') response.destroy();
    else if (how === 'end') response.end('data: [DONE]\n\n');
    else if (how === 'garbage') response.end('data: {"choices": [{"te\n\n');
    else if (how === 'error') response.end('data: {"error": {"message": "out of memory"}}\n\n');
    else if (how === 'abort') {
      response.end('data: {"choices": [{"text": "", "finish_reason": "abort"}]}\n\ndata: [DONE]\n\n');
    } else await new Promise((go) => setTimeout(go, 3000));
    return how !== 'silence';
  }

  private text(ids: readonly number[]): string {
    return this.model.tokenizer.decode(ids);
  }

  private choice(body: Body, ids: readonly number[], text: string, finish: string | null): Body {
    const { dialect = 'vllm' } = this.options;
    const { tokenizer } = this.model;
    const told = body.logprobs !== undefined;
    const choice: Body = { index: 0, text, logprobs: null, finish_reason: finish };
    const token_logprobs = ids.map(() => -0.5);
    if (dialect === 'vllm') {
      if (told) choice.logprobs = { tokens: ids.map((id) => `token_id:${id}`), token_logprobs };
      if (body.return_token_ids) choice.token_ids = ids;
    } else if (dialect === 'old-vllm' && told) {
      choice.logprobs = { tokens: ids.map((id) => `token_id:${id}`), token_logprobs };
    } else if (dialect === 'llama.cpp' && told) {
      choice.logprobs = {
        content: ids.map((id) => ({ id, token: tokenizer.tokenText(id), logprob: -0.5 })),
      };
    } else if (dialect === 'llama-cpp-python' && told) {
      choice.logprobs = { tokens: ids.map((id) => tokenizer.tokenText(id)), token_logprobs };
    }
    return choice;
  }
}
