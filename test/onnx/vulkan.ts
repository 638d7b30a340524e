/** The software Vulkan driver that WebGPU is tested on, Linux alone. */
import fs from 'node:fs';
import path from 'node:path';
import { installDebian } from '../vscode/chromium.ts';

/** Of the Vulkan loader's manifests of software drivers; Chromium brings one. */
const DRIVERS = [
  '/usr/lib/chromium/vk_swiftshader_icd.json',
  '/usr/lib/chromium-browser/vk_swiftshader_icd.json',
  '/opt/google/chrome/vk_swiftshader_icd.json',
  '/usr/share/vulkan/icd.d/lvp_icd.json',
  '/usr/share/vulkan/icd.d/lvp_icd.x86_64.json',
];
const LOADERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib'];

/** Manifest of the driver, or why there is none. */
export function findVulkan(): { driver: string } | { missing: string } {
  if (process.platform !== 'linux')
    return { missing: 'a software Vulkan driver is looked for on Linux alone' };
  if (!LOADERS.some((folder) => fs.existsSync(path.join(folder, 'libvulkan.so.1'))))
    return { missing: 'no Vulkan loader is installed (Debian: libvulkan1)' };
  const { VK_ICD_FILENAMES, VK_DRIVER_FILES } = process.env;
  const driver = VK_ICD_FILENAMES ?? VK_DRIVER_FILES ?? DRIVERS.find((file) => fs.existsSync(file));
  if (driver) return { driver };
  return {
    missing:
      'no software Vulkan driver is installed (Debian: chromium brings SwiftShader, mesa-vulkan-drivers lavapipe)',
  };
}

/** Installs what is missing where that is possible without asking (root, apt-get). */
export function ensureVulkan(): void {
  if (process.platform !== 'linux') return;
  if ('missing' in findVulkan()) installDebian(['libvulkan1']);
  if ('missing' in findVulkan()) installDebian(['mesa-vulkan-drivers']);
}
