/** Before the tests: what they need beside npm's packages. Some minutes on a new machine, nothing afterwards. */
import { ensureVulkan } from '../onnx/vulkan.ts';
import { ensureChromium } from './chromium.ts';
import { ensureCodeServer } from './code-server.ts';

// First the browser: its package brings a Vulkan driver.
ensureChromium();
ensureVulkan();
if (process.env.CCA_VSCODE !== 'desktop') ensureCodeServer();
