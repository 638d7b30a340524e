/** Requests about open trace documents. */

import type { Completed } from '../engine/jobs/complete.ts';
import { InputError } from '../errors.ts';
import type { TokenScore } from '../inspect/score.ts';
import type { OpenTrace } from '../language/open-trace.ts';
import type { PatchRef, Position, Range } from '../protocol/message.ts';
import * as protocol from '../protocol/traces.ts';
import type { ParamsOf } from './answers.ts';
import { Attributions } from './attributions.ts';
import { pivotAt } from './branches.ts';
import type { Check } from './check.ts';
import * as check from './check.ts';
import { complete } from './complete.ts';
import { layOut } from './output-diff.ts';
import { modelRef, type Services } from './services.ts';

const position: Check<Position> = check.object<Position>({ line: check.count, character: check.count });
const range: Check<Range> = check.object<Range>({ start: position, end: position });
export const patchRef = check.object<PatchRef>({ file: check.text, scale: check.real });
const patches = check.list(patchRef);
const ofDocument = { uri: check.text, version: check.integer };

const edit: Check<protocol.AnnotationEdit> = (value, field) => {
  const kinds = ['mark', 'accept', 'reject', 'remove', 'swap', 'move', 'desired', 'exclude'] as const;
  const { edit: kind } = check.object<{ edit: (typeof kinds)[number] }>({ edit: check.oneOf(...kinds) })(
    value,
    field,
  );
  const token = check.count;
  switch (kind) {
    case 'mark':
      return check.object<Extract<protocol.AnnotationEdit, { edit: 'mark' }>>({
        edit: check.oneOf('mark'),
        token,
        desired: check.nullable(check.count),
      })(value, field);
    case 'move':
      return check.object<Extract<protocol.AnnotationEdit, { edit: 'move' }>>({
        edit: check.oneOf('move'),
        token,
        to: check.count,
      })(value, field);
    case 'desired':
      return check.object<Extract<protocol.AnnotationEdit, { edit: 'desired' }>>({
        edit: check.oneOf('desired'),
        token,
        desired: check.count,
      })(value, field);
    case 'exclude':
      return check.object<Extract<protocol.AnnotationEdit, { edit: 'exclude' }>>({
        edit: check.oneOf('exclude'),
        excluded: check.flag,
      })(value, field);
    default:
      return check.object<{ edit: typeof kind; token: number }>({ edit: check.oneOf(kind), token })(
        value,
        field,
      );
  }
};

export function answerTraces(services: Services): void {
  const { answers, branches, documents, scores } = services;
  const attributions = new Attributions(services);

  answers.on(protocol.view, check.object<protocol.OfDocument>(ofDocument), (of) => documents.view(of));

  answers.on(
    protocol.annotate,
    check.object<ParamsOf<typeof protocol.annotate>>({ ...ofDocument, annotation: edit }),
    ({ annotation, ...of }) => ({ edits: documents.at(of).trace.annotate(annotation) }),
  );

  answers.on(
    protocol.tokenAt,
    check.object<ParamsOf<typeof protocol.tokenAt>>({ ...ofDocument, position }),
    ({ position: at, ...of }) => {
      const { trace } = documents.at(of);
      const token = trace.tokens && trace.tokenAt(at);
      return token === null ? null : trace.tokenRange(token);
    },
  );

  answers.on(
    protocol.alternatives,
    check.object<ParamsOf<typeof protocol.alternatives>>({ ...ofDocument, token: check.count }),
    ({ token, ...of }) => {
      const { trace } = documents.at(of);
      return (trace.tokens && scores.known(trace.uri, token, trace.tokens.ids)?.top) ?? [];
    },
  );

  answers.on(
    protocol.scores,
    check.object<ParamsOf<typeof protocol.scores>>({
      ...ofDocument,
      ...check.streamed,
      patches,
      visible: check.nullable(range),
    }),
    ({ patches: stack, visible, ...of }, { signal, part }) =>
      documents.whileCurrent(of, signal, async (current) => {
        const { trace, model } = documents.withModel(of);
        const { ids } = trace.tokens!;
        const { topK } = services.options;
        const question = { model: modelRef(model, services.options), patches: stack, ids, topK };
        const start = visible ? firstIn(trace, visible) : 0;
        branches.patched(of.uri, stack);
        const total = ids.length;
        await scores.score(trace.uri, question, start, current, (from, tokens, done) => {
          const scored = tokens.map((token, k) => scoredToken(trace, from + k, token));
          part({ tokens: scored, done, total });
        });
        attributions.ahead(of, stack);
        return { total };
      }),
    { needsTrust: true },
  );

  answers.on(
    protocol.attribution,
    check.object<ParamsOf<typeof protocol.attribution>>({
      ...ofDocument,
      token: check.count,
      patches,
      components: check.flag,
      desired: check.optional(check.count),
    }),
    ({ token, patches: stack, components, desired: wanted, ...of }, { signal }) =>
      documents.whileCurrent(of, signal, async (current) => {
        const { trace, model } = documents.withModel(of);
        const { desired, undesired } =
          wanted === undefined ? pivotAt(trace, token) : against(trace, token, wanted);
        const prefix = trace.tokens!.ids.slice(0, token);
        const {
          margin,
          tokens,
          components: strongest,
        } = await attributions.of(
          {
            model: modelRef(model, services.options),
            patches: stack,
            prefix,
            desired,
            undesired,
            components,
          },
          current,
        );
        return {
          margin,
          desired: { id: desired, text: trace.tokenText(desired) },
          undesired: { id: undesired, text: trace.tokenText(undesired) },
          tokens: Array.from(tokens, (attribution, i) => ({ ...trace.tokenRange(i), attribution })),
          components: strongest,
        };
      }),
    { needsTrust: true },
  );

  answers.on(
    protocol.branches,
    check.object<ParamsOf<typeof protocol.branches>>({
      ...ofDocument,
      token: check.count,
      patches,
    }),
    ({ token, patches: stack, ...of }, { signal }) => {
      branches.patched(of.uri, stack);
      return branches.of(of, token, signal);
    },
    { needsTrust: true },
  );

  answers.on(
    protocol.outputDiff,
    check.object<ParamsOf<typeof protocol.outputDiff>>({
      ...ofDocument,
      ...check.streamed,
      from: check.nullable(patches),
      to: patches,
    }),
    ({ from, to, ...of }, { signal, part }) =>
      documents.whileCurrent(of, signal, async (current) => {
        const { trace, model, tokenizer } = documents.withModel(of);
        const { promptIds, completionIds, target } = trace.document;
        const generate = async (side: 'from' | 'to', stack: typeof to) => {
          const prefix = { ids: [...promptIds], prompt: promptIds.length };
          const tell = (tokens: number) => part({ side, tokens });
          return (await complete(services, model, stack, [prefix], trace, current, tell))[0]!;
        };
        const before = from ? await generate('from', from) : ownCompletion(trace, tokenizer);
        const after = await generate('to', to);
        const side = ({ text, answer, truncated }: Omit<Completed, 'ids'>): protocol.OutputSide => ({
          text,
          answer,
          correct: target === null ? null : answer === target,
          truncated,
        });
        const laid = layOut(trace, [...completionIds], before.ids, after.ids, tokenizer);
        return { from: side(before), to: side(after), ...laid };
      }),
    { needsTrust: true },
  );
}

/** First token of a stretch of the document. */
function firstIn(trace: OpenTrace, { start }: Range): number {
  const offset = trace.offsetAt(start);
  return trace.tokens!.at(offset)[0] ?? 0;
}

function scoredToken(trace: OpenTrace, index: number, score: TokenScore): protocol.ScoredToken {
  const { logprob, rank, entropy } = score;
  const generated = index >= trace.tokens!.promptLength;
  return { ...trace.tokenRange(index), logprob, rank, entropy, generated };
}

/** A token of the document against another one in its place. */
function against(trace: OpenTrace, token: number, desired: number): { desired: number; undesired: number } {
  const undesired = trace.tokens!.ids[token];
  if (undesired === undefined || token === 0) {
    throw new InputError(`token ${token}`, 'has no tokens before it', 'Choose a later token of the trace.');
  }
  if (desired !== undesired) return { desired, undesired };
  throw new InputError(
    `token ${token}`,
    `is ${desired} in the document already`,
    'Choose another desired token.',
  );
}

/** The completion that the document has. */
function ownCompletion(
  trace: OpenTrace,
  tokenizer: { decode(ids: readonly number[], options: { skipSpecialTokens: boolean }): string },
): Completed {
  const { completionIds, answer, truncated } = trace.document;
  const text = tokenizer.decode(completionIds, { skipSpecialTokens: true });
  return { ids: [...completionIds], text, answer: answer ?? null, truncated };
}
