/** `tabswarm keys`: the account of a data folder, made where there is none. */

import type { Command } from 'commander';
import { accountIdOf } from '../../adapters/crypto/identity.ts';
import { defaultDataFolder, identityPath, loadAccountKeyFile } from '../identity-file.ts';
import { printResult, type Output } from '../output.ts';

interface KeysFlags {
  readonly data: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('keys')
    .description('show the account of this data folder, and where its private key lies')
    .option('--data <folder>', 'where the key is kept', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((flags: KeysFlags) => run(flags, output));
}

async function run({ data, json }: KeysFlags, output: Output): Promise<void> {
  const account = accountIdOf(await loadAccountKeyFile(data));
  const file = identityPath(data);
  printResult(output, json, { account, file }, () => [
    `account      ${account}`,
    `private key  ${file} (whoever has this file has the account; keep a copy)`,
  ]);
}
