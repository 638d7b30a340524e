import assert from 'node:assert/strict';
import {
  type CompletionList,
  commands,
  type Diagnostic,
  extensions,
  type Hover,
  languages,
  MarkdownString,
  Position,
  type TextDocument,
  Uri,
  window,
  workspace,
} from 'vscode';
import { api, inRoot, read, until } from './session.ts';

async function open(name: string, text: string): Promise<TextDocument> {
  const uri = Uri.file(inRoot(name));
  await workspace.fs.writeFile(uri, Buffer.from(text));
  const document = await workspace.openTextDocument(uri);
  await window.showTextDocument(document);
  return document;
}

const diagnosed = (document: TextDocument, suits: (found: Diagnostic) => boolean): Promise<Diagnostic> =>
  until(`a diagnostic of ${document.fileName}`, () => languages.getDiagnostics(document.uri).find(suits));

const at = (document: TextDocument, word: string): Position =>
  document.positionAt(document.getText().indexOf(word) + 1);

describe('an experiment file', () => {
  before(async () => {
    await (await api()).engine.ready;
    await extensions.getExtension('vscode.json-language-features')!.activate();
  });

  it('completes its keys and choices from the schema', async () => {
    const document = await open(
      'a.experiment.json',
      '{\n  "settings": {\n    "mask": { "select": "" }\n  }\n}\n',
    );
    const complete = async (position: Position) => {
      const { items } = await commands.executeCommand<CompletionList>(
        'vscode.executeCompletionItemProvider',
        document.uri,
        position,
      );
      return items.map(({ label }) => (typeof label === 'string' ? label : label.label));
    };
    // The schema is read when it is first needed.
    const methods = await until('completions', async () => {
      const labels = await complete(at(document, '""'));
      return labels.some((label) => label.includes('fisher')) ? labels : null;
    });
    assert.ok(methods.some((label) => label.includes('dcm')));
    const keys = await complete(new Position(1, 2));
    for (const key of ['model', 'problems', 'controls', 'seed'])
      assert.ok(keys.includes(key), keys.join(' '));
  });

  it('explains its keys', async () => {
    const document = await open('b.experiment.json', read('small.experiment.json'));
    const text = await until('a hover', async () => {
      const hovers = await commands.executeCommand<Hover[]>(
        'vscode.executeHoverProvider',
        document.uri,
        at(document, '"controlLimit"'),
      );
      return hovers
        .flatMap(({ contents }) => contents)
        .map((content) => (content instanceof MarkdownString ? content.value : String(content)))
        .join(' ');
    });
    assert.match(text, /control file/);
  });

  it('is checked by the schema', async () => {
    const text = read('small.experiment.json').replace('"seed": 1', '"seed": "one"');
    const found = await diagnosed(
      await open('c.experiment.json', text),
      ({ source }) => source === undefined || source === 'json',
    );
    assert.match(found.message, /integer/);
  });

  it('is checked by the engine for what a schema cannot know', async () => {
    const text = read('small.experiment.json').replace('data/train.jsonl', 'data/absent.jsonl');
    const document = await open('d.experiment.json', text);
    const found = await diagnosed(document, ({ source }) => source === 'Circuit Amplifier');
    assert.match(found.message, /absent\.jsonl/);
  });

  it('that is right has no findings', async () => {
    const document = await open('small.experiment.json', read('small.experiment.json'));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual(languages.getDiagnostics(document.uri), []);
    await commands.executeCommand('workbench.action.closeAllEditors');
  });
});
