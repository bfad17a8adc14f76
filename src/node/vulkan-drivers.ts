/**
 * Vulkan drivers that Dawn in Node may find on this machine, as the environments of a process to be tried one after
 * another: which driver is loaded is settled when a process starts. Tests and the conformance run use them, so that they
 * have a GPU wherever a browser with a software driver is installed; a volunteer takes what the system offers.
 */

import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { findBrowser } from './find-browser.mjs';

export interface VulkanDriver {
  /** In words, for whoever reads the report. */
  readonly name: string;
  /** Beside the process's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** The driver that VK_DRIVER_FILES names, or else the system's own and the software driver that browsers bring along. */
export async function vulkanDrivers(env: NodeJS.ProcessEnv = process.env): Promise<readonly VulkanDriver[]> {
  if (env['VK_DRIVER_FILES'] !== undefined) return [{ name: 'the driver that VK_DRIVER_FILES names', env: {} }];
  const folder = await swiftShaderFolder();
  const system = { name: "the system's driver", env: {} };
  if (folder === undefined) return [system];
  const libraries = [folder, env['LD_LIBRARY_PATH']].filter(Boolean).join(delimiter);
  const files = join(folder, icd);
  return [system, { name: "the browser's SwiftShader", env: { VK_DRIVER_FILES: files, LD_LIBRARY_PATH: libraries } }];
}

/** The file by which a Vulkan loader knows SwiftShader; Chromium has it, and a loader, beside its program. */
const icd = 'vk_swiftshader_icd.json';

async function swiftShaderFolder(): Promise<string | undefined> {
  const browser = await findBrowser().catch(() => undefined);
  const folders = browser === undefined ? [] : [dirname(realpathSync(browser)), '/usr/lib/chromium'];
  return folders.find((folder) => existsSync(join(folder, icd)));
}
