/**
 * Records what a real server answers to the greedy traces of demo problems, for recorded.test.ts:
 *
 *     python make_gguf.py ../../media/demo/model demo.gguf
 *     python -m llama_cpp.server --model demo.gguf --model_alias demo --n_ctx 256 --logits_all true \
 *         --interrupt_requests false --port 8971
 *     node record.ts http://localhost:8971 llama-cpp-python.jsonl.gz 'llama-cpp-python 0.3.36'
 */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { neverAborted } from '../../server/control.ts';
import { readProblems } from '../../server/data/problems.ts';
import { connect } from '../../server/endpoint/completer.ts';
import { endpointDefaults } from '../../server/endpoint/settings.ts';
import { encodePrompts, greedyTraces } from '../../server/generate/traces.ts';
import { Model } from '../../server/model/model.ts';
import { generateDefaults } from '../../server/pipeline/settings.ts';

const [target, out, about] = process.argv.slice(2);
if (!target || !out || !about) throw new Error('node record.ts URL FILE.jsonl.gz "server and version"');
const demo = path.resolve(import.meta.dirname, '../../media/demo');
const exchanges: object[] = [{ about }];
let open = 0;

/** Passes requests on and notes them with their answers; an answer that is left early is noted as far as it came. */
const proxy = http.createServer(async (request, response) => {
  open++;
  let body = '';
  for await (const piece of request) body += piece;
  const answer = await fetch(target + request.url, {
    method: request.method ?? 'GET',
    ...(body && { body, headers: { 'content-type': 'application/json' } }),
  });
  const type = answer.headers.get('content-type') ?? '';
  response.writeHead(answer.status, { 'content-type': type });
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of answer.body ?? []) {
    text += decoder.decode(piece as Uint8Array, { stream: true });
    response.write(piece);
  }
  response.end();
  exchanges.push({ url: request.url, body: body && JSON.parse(body), status: answer.status, type, text });
  open--;
});
await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
const model = await Model.load(path.join(demo, 'model'), { threads: 1 });
const problems = (await readProblems(path.join(demo, 'data/test.jsonl'))).problems.slice(0, 120);
const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
const completer = await connect(
  model,
  { ...endpointDefaults, url, model: 'demo', concurrency: 1 },
  encodePrompts(model, problems)[0]!,
  { signal: neverAborted, notice: (_, text) => console.log(text) },
);
const traces = await greedyTraces(completer, problems, generateDefaults, { signal: neverAborted });
while (open > 0) await new Promise((go) => setTimeout(go, 50));
fs.writeFileSync(
  out,
  gzipSync(exchanges.map((exchange) => `${JSON.stringify(exchange)}\n`).join(''), { level: 9 }),
);
console.log(`${traces.length} traces, ${exchanges.length - 1} exchanges`);
proxy.closeAllConnections();
proxy.close();
