#!/usr/bin/env node
// The language server: the Language Server Protocol on standard input and output.
import { fileURLToPath } from 'node:url';
import { createConnection, ProposedFeatures } from 'vscode-languageserver/node';
import { Server } from './lsp/server.ts';

// Standard output is the protocol's: what a library prints goes where it does no harm.
console.log = console.error;
const connection = createConnection(ProposedFeatures.all, process.stdin, process.stdout);
new Server(connection, fileURLToPath(new URL('./cli.mjs', import.meta.url)));
connection.listen();
