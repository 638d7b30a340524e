import { commands, Location, Position, Range } from 'vscode';
import type { PatchRef } from '../../server/protocol/message.ts';
import { type Branch, branches } from '../../server/protocol/traces.ts';
import type { Server } from '../server/server.ts';
import { type Annotations, NotHere, type Target } from './annotations.ts';
import type { OutputDocuments } from './output-documents.ts';
import { withProgress } from './progress.ts';

const nameOf = ({ role, token, answer, correct, truncated }: Branch): string => {
  const mark = correct === null ? '' : correct ? ' ✓' : ' ✗';
  const result = answer === null ? (truncated ? 'cut off' : 'no answer') : `${answer}${mark}`;
  return `${role} ${JSON.stringify(token.text)} → ${result}`;
};

/** Completes from both tokens of a pivot and shows what follows in a peek view at it; or as a diff. */
export class Branches {
  readonly #server: Server;
  readonly #annotations: Annotations;
  readonly #outputs: OutputDocuments;
  readonly #patches: () => readonly PatchRef[];

  constructor(
    server: Server,
    annotations: Annotations,
    outputs: OutputDocuments,
    patches: () => readonly PatchRef[],
  ) {
    this.#server = server;
    this.#annotations = annotations;
    this.#outputs = outputs;
    this.#patches = patches;
  }

  async show(target?: Target & { as?: 'peek' | 'diff' }): Promise<Branch[]> {
    const { trace, pivot } = await this.#annotations.place(target);
    if (!pivot) throw new NotHere('Put the cursor on a pivot first.');
    const found = await withProgress('completing from both tokens', (token) =>
      this.#server.request(
        branches,
        { ...trace.of, token: pivot.token, patches: [...this.#patches()] },
        { token },
      ),
    );
    const key = `${trace.of.uri}#${pivot.token}`;
    const pages = found.map((branch) => ({
      branch,
      uri: this.#outputs.put(key, nameOf(branch), branch.text),
    }));
    const [desired, undesired] = (['desired', 'undesired'] as const).map((role) =>
      pages.find(({ branch }) => branch.role === role),
    );
    if (target?.as === 'diff' && desired && undesired) {
      await this.#outputs.diff(
        undesired.uri,
        desired.uri,
        `${nameOf(undesired.branch)} ↔ ${nameOf(desired.branch)}`,
      );
    } else {
      const at = new Position(pivot.range.start.line, pivot.range.start.character);
      await commands.executeCommand(
        'editor.action.peekLocations',
        trace.document.uri,
        at,
        pages.map(({ uri }) => new Location(uri, new Range(0, 0, 0, 0))),
        'peek',
      );
    }
    return found;
  }
}
