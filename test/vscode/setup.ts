/** Before the tests: what they need beside npm's packages. Some minutes on a new machine, nothing afterwards. */
import { ensureChromium } from './chromium.ts';
import { ensureCodeServer } from './code-server.ts';

ensureChromium();
if (process.env.CCA_VSCODE !== 'desktop') ensureCodeServer();
