/** Types of `find-browser.mjs`, which is plain JavaScript because it runs before anything is built. */

export declare class BrowserMissingError extends Error {}

/** What the search looks at, so that a test can describe another machine. */
export interface Machine {
  readonly platform: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  isExecutable(path: string): boolean;
  playwrightBrowser(): Promise<string | undefined>;
  /** Installs Debian's package where that is possible; the program's path. */
  installOnDebian(say: (line: string) => void): string | undefined;
  tell(line: string): void;
}

/** The path of a browser's program; throws `BrowserMissingError`, whose text says what to install. */
export declare function findBrowser(machine?: Machine): Promise<string>;

/** Where Chrome, Chromium and Edge live on a platform, in order of preference. */
export declare function candidates(platform: string, env: Readonly<Record<string, string | undefined>>): string[];

/** Whether WebGPU can expect a real GPU here. */
export declare function hasGpu(): boolean;

/** `auto` looks for a GPU; the environment's TABSWARM_GPU (`software`, `hardware`) overrides it. */
export type GpuChoice = 'auto' | 'software' | 'hardware';

/** The flags with which a headless browser has WebGPU on this machine; says so once when it is the software adapter. */
export declare function browserFlags(options?: { readonly gpu?: GpuChoice }): string[];
