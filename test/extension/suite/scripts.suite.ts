/** Emoji, CJK, tabs and CRLF in a real editor, which counts UTF-16 units and normalises line ends in its own way. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import {
  commands,
  EndOfLine,
  type InlayHint,
  Position,
  Range,
  Selection,
  type TextEditor,
  TextEditorRevealType,
} from 'vscode';
import type { Range as PlainRange } from '../../../server/protocol/message.ts';
import { attribution, scores, type TokenRange, view } from '../../../server/protocol/traces.ts';
import { api, inRoot, show, until } from './session.ts';

let editor: TextEditor;

const of = () => ({ uri: editor.document.uri.toString(), version: editor.document.version });
const lf = (text: string) => text.replaceAll('\r\n', '\n');
const textAt = ({ start, end }: PlainRange) =>
  lf(editor.document.getText(new Range(start.line, start.character, end.line, end.character)));

/** What tokens show of their text: those that split a character share its range, and have no text of their own. */
function assertPlaced(tokens: readonly TokenRange[]): void {
  for (const [i, { text, range, index }] of tokens.entries()) {
    const at = textAt(range);
    const shared = [tokens[i - 1], tokens[i + 1]].some(
      (other) => JSON.stringify(other?.range) === JSON.stringify(range),
    );
    if (!shared) assert.equal(at, text, `token ${index}`);
    else assert.match(at, /\P{ASCII}/u, `token ${index} is part of ${JSON.stringify(at)}`);
  }
}

async function scoredTokens() {
  const { engine } = await api();
  const parts: TokenRange[] = [];
  await engine.request(
    scores,
    { ...of(), patches: [], visible: null },
    { onPart: ({ tokens }) => parts.push(...tokens) },
  );
  return parts.sort((a, b) => a.index - b.index);
}

const pivots = async () => (await (await api()).engine.request(view, of())).pivots;

describe('scripts and line ends', () => {
  before(async () => {
    editor = await show(inRoot('scripts.trace'));
  });
  after(() => commands.executeCommand('workbench.action.closeAllEditors'));

  it('every token stands where its text is', async () => {
    assert.equal(editor.document.eol, EndOfLine.CRLF);
    const tokens = await scoredTokens();
    // A character that several tokens make up stands once.
    const places = new Map(tokens.map(({ range }) => [JSON.stringify(range), range]));
    assert.ok(places.size < tokens.length, 'no character is split');
    const whole = [...places.values()].map(textAt).join('');
    assert.equal(
      whole,
      'Tom 👨‍👩‍👧 has\t36 箱子.\nAnn takes 9.\nSolution: 36 + 9 = 45 箱子 😀.\nThe answer is 45.',
    );
    assertPlaced(tokens);
  });

  it('the pivot behind them is boxed, attributed and hinted at its own token', async () => {
    const { engine, traces } = await api();
    const [pivot] = await pivots();
    assert.equal(textAt(pivot!.range), ' +');
    const at = new Position(pivot!.range.start.line, pivot!.range.start.character);
    editor.selection = new Selection(at, at);
    await until('the attribution', () => traces.state()?.attribution === pivot!.token);
    const found = await engine.request(attribution, {
      ...of(),
      ...{ token: pivot!.token, patches: [], components: false },
    });
    assertPlaced(found.tokens);
    const all = new Range(0, 0, editor.document.lineCount, 0);
    const hints = await commands.executeCommand<InlayHint[]>(
      'vscode.executeInlayHintProvider',
      editor.document.uri,
      all,
    );
    const { end } = pivot!.range;
    assert.deepEqual(
      hints.map(({ position }) => [position.line, position.character]),
      [[end.line, end.character]],
    );
  });

  it('scrolled away and back, and with lines put in above, nothing moves off its text', async () => {
    const { traces } = await api();
    const last = editor.document.lineCount - 1;
    editor.revealRange(new Range(last, 0, last, 0), TextEditorRevealType.AtTop);
    await until('the end in view', () => editor.visibleRanges.at(-1)!.end.line >= last);
    editor.revealRange(new Range(0, 0, 0, 0), TextEditorRevealType.AtTop);
    const before = editor.document.getText();
    // A note in the header: what stands below moves by a line.
    await editor.edit((edit) => edit.insert(new Position(2, 0), '# checked 確認 ✅\n'));
    assert.equal(editor.document.eol, EndOfLine.CRLF);
    await until('the view', async () => (await pivots()).length === 1);
    assert.equal(textAt((await pivots())[0]!.range), ' +');
    assertPlaced(await scoredTokens());
    assert.equal(traces.state()?.problem, null);
    await commands.executeCommand('undo');
    assert.equal(editor.document.getText(), before);
  });

  it('a token behind an emoji is marked, saved with the file’s line ends, and one undo takes it back', async () => {
    const before = editor.document.getText();
    const tokens = await scoredTokens();
    const face = tokens.findLastIndex(({ range }) => textAt(range).includes('😀'));
    const marked = tokens[face + 1]!;
    const desired = tokens.find(({ text }) => text === ' takes' || text === ':')!.id;
    const target = { uri: of().uri, token: marked.index, desired };
    await commands.executeCommand('circuitAmplifier.markPivot', target);
    const made = await until('the pivot', async () =>
      (await pivots()).find(({ token }) => token === marked.index),
    );
    assert.equal(textAt(made.range), marked.text);
    await editor.document.save();
    const saved = fs.readFileSync(inRoot('scripts.trace'), 'utf8');
    assert.equal(saved.match(/\r\n/g)!.length, saved.match(/\n/g)!.length, 'a line end of another kind');
    assert.match(saved, new RegExp(`^pivot: .*token=${marked.index}\\b`, 'm'));
    await commands.executeCommand('undo');
    assert.equal(editor.document.getText(), before);
    await editor.document.save();
  });
});
