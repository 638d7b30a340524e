import { type PatchRef, type Range, request, type Streamed } from './message.ts';

/** Asks about one version of an open trace document. */
export interface OfDocument {
  uri: string;
  version: number;
}

/** A token of a trace document. Tokens that split a character share its range; a token may span lines. */
export interface TokenRange {
  /** Place among prompt and completion ids, from 0. */
  index: number;
  id: number;
  /** For display. */
  text: string;
  range: Range;
}

/** A token and what the model thought of it (null for the first token, which nothing predicts). */
export interface ScoredToken extends TokenRange {
  /** ln p, nats. */
  logprob: number | null;
  /** 1: the most probable token. */
  rank: number | null;
  /** Of the distribution that it was drawn from, nats. */
  entropy: number | null;
  /** Part of the completion. */
  generated: boolean;
}

export interface Scores {
  tokens: ScoredToken[];
  /** Tokens scored so far and in all. */
  done: number;
  total: number;
}

/** Scores of all tokens, from token `start` on first (the first one in the viewport); streamed. */
export const scores = request<
  OfDocument & Streamed & { patches: PatchRef[]; visible: Range | null },
  { total: number },
  Scores
>('cca/traces/scores');

/** A pivot as the document has it. */
export interface DocumentPivot {
  /** Index of the token that the pivot replaces. */
  token: number;
  range: Range;
  undesired: { id: number; text: string };
  desired: { id: number; text: string };
  method: 'prefix' | 'branching' | 'human' | 'imported';
  status: 'auto' | 'accepted' | 'edited' | 'rejected';
}

/** What a document says about its trace; needs no model but its tokenizer. */
export interface DocumentView {
  problem: string;
  template: string | null;
  target: number | null;
  answer: number | null;
  correct: boolean | null;
  excluded: boolean;
  /** Model folder, absolute; null where there is none. */
  model: string | null;
  /** Run folder that the trace came from, absolute; null. */
  run: string | null;
  /** Where prompt and completion stand. */
  prompt: Range;
  completion: Range;
  pivots: DocumentPivot[];
  /** Null where the tokenizer is not to be had, or the text was changed by hand and no longer matches its tokens. */
  tokens: number | null;
}

export const view = request<OfDocument, DocumentView>('cca/traces/view');

export interface Attribution {
  /** logit[desired] - logit[undesired]. */
  margin: number;
  desired: { id: number; text: string };
  undesired: { id: number; text: string };
  /** Prefix tokens; positive values push toward the desired token (gradient x embedding). */
  tokens: (TokenRange & { attribution: number })[];
  /** Components by the gradient of -(logit difference) by their gates, most helpful first; null where not asked. */
  components: { component: number; label: string; gradient: number }[] | null;
}

/**
 * Input attribution of the pivot at a token. With `desired`, of a token that need not be a pivot: that desired token
 * against the document's own.
 */
export const attribution = request<
  OfDocument & { token: number; patches: PatchRef[]; components: boolean; desired?: number },
  Attribution
>('cca/traces/attribution');

/** What follows from one of a pivot's two tokens, decoded greedily. */
export interface Branch {
  role: 'desired' | 'undesired';
  token: { id: number; text: string };
  text: string;
  answer: number | null;
  correct: boolean | null;
  truncated: boolean;
}

export const branches = request<OfDocument & { token: number; patches: PatchRef[] }, Branch[]>(
  'cca/traces/branches',
);

/** An edit of a document's annotations. Token indices count prompt and completion ids. */
export type AnnotationEdit =
  | { edit: 'mark'; token: number; desired: number | null }
  | { edit: 'accept' | 'reject' | 'remove' | 'swap'; token: number }
  | { edit: 'move'; token: number; to: number }
  | { edit: 'desired'; token: number; desired: number }
  | { edit: 'exclude'; excluded: boolean };

/** The text edits that make it so: the editor applies them, so that undo and save work. */
export const annotate = request<
  OfDocument & { annotation: AnnotationEdit },
  { edits: { range: Range; newText: string }[] }
>('cca/traces/annotate');

/** Token at a position, or null. */
export const tokenAt = request<OfDocument & { position: Range['start'] }, TokenRange | null>(
  'cca/traces/tokenAt',
);

/** A token that could stand in another's place. */
export interface Alternative {
  id: number;
  text: string;
  /** ln p, nats. */
  logprob: number;
}

/** The most probable tokens in a token's place, best first; none where it has not been scored. */
export const alternatives = request<OfDocument & { token: number }, Alternative[]>('cca/traces/alternatives');

/** A stretch of an output diff, token-aligned. `range` is where it stands in the document: empty for what is added. */
export interface DiffStretch {
  kind: 'same' | 'removed' | 'added';
  text: string;
  range: Range;
}

export interface OutputSide {
  text: string;
  answer: number | null;
  correct: boolean | null;
  truncated: boolean;
}

/** The document's completion (or `from`, generated anew) against the output of another state of the model. */
export interface OutputDiff {
  from: OutputSide;
  to: OutputSide;
  /** Index of the first token that differs; null for equal outputs. */
  firstDivergence: number | null;
  firstDivergenceAt: Range['start'] | null;
  /**
   * Both tokens there: the document's token `token` against that of the other output. Null for equal outputs, where one
   * of them ends, and where `from` is not what the document has up to there.
   */
  divergence?: { token: number; from: { id: number; text: string }; to: { id: number; text: string } } | null;
  stretches: DiffStretch[];
}

/** `from` null: the completion that the document has. */
export const outputDiff = request<
  OfDocument & Streamed & { from: PatchRef[] | null; to: PatchRef[] },
  OutputDiff,
  { side: 'from' | 'to'; tokens: number }
>('cca/traces/diff');

/** One trace of a run or a folder of documents. */
export interface TraceRow {
  id: string;
  problem: string;
  template: string | null;
  target: number | null;
  answer: number | null;
  correct: boolean | null;
  truncated: boolean;
  strategy: 'greedy' | 'sample' | null;
  /** Document on disk; null where the trace has none yet. */
  document: string | null;
  /** Pivots of it. */
  pivots: number;
  excluded: boolean;
}

/**
 * The traces of a run folder, or of any folder with trace documents; with the stamp of an earlier answer only the rows that have
 * changed since, if that can be told (`partial`).
 */
export const list = request<
  { folder: string; since?: string },
  { folder: string; rows: TraceRow[]; problems: string[]; stamp: string; partial: boolean }
>('cca/traces/list');

/** The document of a run's trace, made if it is not there: RUN/documents/<id>.trace. */
export const open = request<{ run: string; trace: string }, { file: string }>('cca/traces/open');

/** Documents of all traces that are part of a pair (or of all traces). Existing ones are left as they are. */
export const writeDocuments = request<
  { run: string; which: 'pivots' | 'all' },
  { folder: string; written: number; kept: number }
>('cca/traces/writeDocuments');
