import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CodeLensRefreshRequest,
  type Connection,
  DidChangeTextDocumentNotification,
  DidCloseTextDocumentNotification,
  DidOpenTextDocumentNotification,
  type InitializeParams,
  TextDocumentSyncKind,
  TextDocuments,
  type WorkspaceFolder,
} from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import manifest from '../../package.json' with { type: 'json' };
import { startEngine } from '../engine/client.ts';
import { InputError } from '../errors.ts';
import { BACK_OFF, Supervisor } from '../jobs/supervisor.ts';
import * as engineProtocol from '../protocol/engine.ts';
import * as jobs from '../protocol/jobs.ts';
import type { Notification } from '../protocol/message.ts';
import * as runs from '../protocol/runs.ts';
import { Answers } from './answers.ts';
import { PivotBranches } from './branches.ts';
import * as check from './check.ts';
import { answerCircuit } from './circuit.ts';
import { Diagnoser } from './diagnoser.ts';
import { EngineHost } from './engine-host.ts';
import { answerFeatures, capabilities } from './features.ts';
import { isInside } from './inside.ts';
import { answerJobs } from './jobs.ts';
import { answerPatches } from './patches.ts';
import { RunWatch } from './run-watch.ts';
import { answerRuns } from './runs.ts';
import { ScoreCache } from './score-cache.ts';
import type { Services } from './services.ts';
import { Tokenizers } from './tokenizers.ts';
import { TraceDocuments } from './trace-documents.ts';
import { answerTraces } from './traces.ts';

const UNTRUSTED: engineProtocol.ServerOptions = {
  trusted: false,
  storage: '',
  device: 'auto',
  threads: null,
  lean: false,
  background: true,
  topK: 5,
  maxTokens: 512,
  model: null,
  models: [],
};

const optionalPath: check.Check<string | null> = (value, field) =>
  value === null || value === '' ? null : check.text(value, field);

const options = check.object<engineProtocol.ServerOptions>({
  trusted: check.flag,
  storage: (value, field) => optionalPath(value, field) ?? '',
  device: check.oneOf('auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'),
  threads: check.nullable(check.count),
  lean: check.flag,
  background: check.flag,
  topK: check.count,
  maxTokens: check.count,
  model: optionalPath,
  models: check.list(
    check.object<{ folder: string; model: string | null }>({ folder: check.text, model: optionalPath }),
  ),
});

/** Serves one editor window over a connection. */
export class Server implements Services {
  readonly connection: Connection;
  readonly answers: Answers;
  readonly engine: EngineHost;
  readonly tokenizers = new Tokenizers((folder) => this.mayRead(folder));
  readonly documents: TraceDocuments;
  readonly scores: ScoreCache;
  readonly branches: PivotBranches;
  options = UNTRUSTED;
  folders: string[] = [];
  /** The command line's bundle, which jobs run. */
  private readonly program: string;
  private readonly texts = new TextDocuments(TextDocument);
  private readonly diagnoser: Diagnoser;
  private readonly watching: RunWatch;
  private supervisor: Supervisor | null = null;
  private ready = false;
  /** The editor tells when folders of the workspace come and go. */
  private followsFolders = false;
  /** The editor asks for lenses again when it is told to. */
  private lensRefresh = false;

  constructor(connection: Connection, program: string) {
    this.connection = connection;
    this.program = program;
    this.answers = new Answers(connection, () => this.options.trusted);
    this.engine = new EngineHost({
      start: (onCrash) => startEngine({ onCrash }),
      onStatus: (status) => this.notify(engineProtocol.engineStatus, status),
      onCrash: (crash) => this.notify(engineProtocol.engineCrashed, crash),
    });
    this.documents = new TraceDocuments(this.texts, this);
    this.scores = new ScoreCache(this.engine);
    this.branches = new PivotBranches(this, () => this.refreshLenses());
    this.diagnoser = new Diagnoser(
      this.texts,
      this,
      (params) => {
        connection.sendDiagnostics(params).catch(() => undefined);
      },
      this.answers.log,
    );
    this.watching = new RunWatch((folder, files) => this.notify(runs.changed, { folder, files }));
    this.listen();
  }

  mayRead(folder: string): boolean {
    return this.options.trusted || this.folders.some((own) => isInside(own, folder));
  }

  notify<P>(notification: Notification<P>, params: P): void {
    if (!this.ready) return;
    this.connection.sendNotification(notification.method, params as object).catch(() => undefined);
  }

  jobs(): Supervisor {
    const { storage } = this.options;
    if (storage === '') {
      throw new InputError('the workspace', 'has no storage for jobs', 'Open a folder or a workspace first.');
    }
    if (!this.supervisor) {
      this.supervisor = new Supervisor(jobStorage(storage), {
        program: this.program,
        backOff: BACK_OFF,
        mayStart: () => this.options.trusted,
        changed: (state) => this.notify(jobs.changed, state),
        steps: ({ id, run }, from, steps) => this.notify(jobs.steps, { id, run, from, steps }),
        mask: ({ id, run }, { values, ...point }) => {
          const base64 = Buffer.from(Float32Array.from(values).buffer).toString('base64');
          this.notify(jobs.mask, { id, run, ...point, values: base64 });
        },
        failed: (error) => this.answers.log('jobs', error),
      });
    }
    return this.supervisor;
  }

  private listen(): void {
    const { connection, texts, answers } = this;
    connection.onInitialize((params) => this.initialize(params));
    connection.onInitialized(() => {
      this.ready = true;
      this.registerExperiments();
      this.followFolders();
      // Jobs that are at work from before this window opened are shown without being asked for.
      this.attach();
    });
    connection.onShutdown(() => this.close());
    connection.onExit(() => process.exit(0));
    texts.onDidOpen(({ document }) => this.diagnoser.now(document.uri));
    texts.onDidChangeContent(({ document }) => {
      this.documents.changed(document.uri, { closed: false });
      this.diagnoser.later(document.uri);
    });
    texts.onDidClose(({ document }) => {
      this.documents.changed(document.uri, { closed: true });
      this.scores.stop(document.uri);
      this.branches.closed(document.uri);
      this.diagnoser.clear(document.uri);
    });
    texts.listen(connection);

    answers.on(engineProtocol.configure, options, (next) => {
      this.configure(next);
      return null;
    });
    answers.on(engineProtocol.devices, check.nothing, async (_, { signal }) => {
      const { threads } = this.options;
      const { devices } = await this.engine.call('devices', { threads }, { signal });
      return devices.map(({ device, works, reason, milliseconds }) => ({
        name: device,
        available: works,
        reason: reason ?? (milliseconds === null ? '' : `${milliseconds.toFixed(1)} ms for 0.25 GFLOP`),
      }));
    });
    answerFeatures(this);
    answerTraces(this);
    answerRuns(this, this.watching);
    answerPatches(this);
    answerCircuit(this);
    answerJobs(this);
  }

  private initialize(params: InitializeParams) {
    if (params.initializationOptions !== undefined && params.initializationOptions !== null) {
      this.options = options(params.initializationOptions, 'initializationOptions');
    }
    this.lensRefresh = params.capabilities.workspace?.codeLens?.refreshSupport === true;
    this.folders = foldersOf(params.workspaceFolders ?? []);
    this.followsFolders = params.capabilities.workspace?.workspaceFolders === true;
    return { capabilities, serverInfo: { name: manifest.name, version: manifest.version } };
  }

  /** Lenses on pivots tell the answers that follow from them. */
  private refreshLenses(): void {
    if (!this.lensRefresh || !this.ready) return;
    this.connection.sendRequest(CodeLensRefreshRequest.type).catch(() => undefined);
  }

  private configure(next: engineProtocol.ServerOptions): void {
    const moved = next.storage !== this.options.storage;
    this.options = next;
    if (moved) {
      this.supervisor?.close();
      this.supervisor = null;
    }
    this.attach();
    this.diagnoser.all();
  }

  private attach(): void {
    if (this.options.storage === '') return;
    try {
      this.jobs();
    } catch (error) {
      this.answers.log('jobs', error);
    }
  }

  private followFolders(): void {
    if (!this.followsFolders) return;
    this.connection.workspace.onDidChangeWorkspaceFolders(({ added, removed }) => {
      const gone = foldersOf(removed);
      this.folders = [...this.folders.filter((folder) => !gone.includes(folder)), ...foldersOf(added)];
      this.diagnoser.all();
    });
  }

  /** Experiment files are JSON to the editor: their changes come here too where it can be asked for them. */
  private registerExperiments(): void {
    const documentSelector = [{ scheme: 'file', pattern: '**/{experiment.json,*.experiment.json}' }];
    const { client } = this.connection;
    const failed = () => undefined;
    client.register(DidOpenTextDocumentNotification.type, { documentSelector }).catch(failed);
    client
      .register(DidChangeTextDocumentNotification.type, {
        documentSelector,
        syncKind: TextDocumentSyncKind.Incremental,
      })
      .catch(failed);
    client.register(DidCloseTextDocumentNotification.type, { documentSelector }).catch(failed);
  }

  private async close(): Promise<void> {
    this.ready = false;
    this.watching.close();
    this.diagnoser.close();
    this.supervisor?.close();
    await this.engine.close();
  }
}

/** A folder by its path, or by a name in the home of whoever runs this. */
const jobStorage = (storage: string): string =>
  path.isAbsolute(storage) ? storage : path.join(homedir(), '.circuit-amplifier', path.basename(storage));

const foldersOf = (folders: readonly WorkspaceFolder[]): string[] =>
  folders.filter(({ uri }) => uri.startsWith('file:')).map(({ uri }) => fileURLToPath(uri));
