/** `tabswarm api-keys`: who may use the API of the hub with this data folder; a running hub notices at once. */

import type { Command } from 'commander';
import { InputError } from '../../core/result.ts';
import { defaultDataFolder } from '../identity-file.ts';
import { addApiKey, listApiKeys, revokeApiKey } from '../openai/api-keys.ts';
import { printResult, type Output } from '../output.ts';

interface ApiKeysFlags {
  readonly add?: string;
  readonly revoke?: string;
  readonly data: string;
  readonly json: boolean;
}

export function register(program: Command, output: Output): void {
  program
    .command('api-keys')
    .description('list, add and revoke the keys of a hub’s API')
    .option('--add <name>', 'make a key for this name; it is shown once')
    .option('--revoke <id>', 'the key with this id is no longer taken')
    .option('--data <folder>', 'the hub’s data folder', defaultDataFolder())
    .option('--json', 'print one JSON object', false)
    .action((flags: ApiKeysFlags) => run(flags, output));
}

async function run({ add, revoke, data, json }: ApiKeysFlags, output: Output): Promise<void> {
  if (add !== undefined && revoke !== undefined)
    throw new InputError('--add and --revoke exclude each other: give one');
  if (add !== undefined) {
    const { key, kept } = await addApiKey(data, add);
    return printResult(output, json, { key, id: kept.id, name: kept.name }, () => [
      key,
      `This is key ${kept.id}, for ${kept.name}. It cannot be shown again.`,
    ]);
  }
  if (revoke !== undefined) {
    const { id, name } = await revokeApiKey(data, revoke);
    return printResult(output, json, { revoked: id, name }, () => [`Key ${id}, for ${name}, is no longer taken.`]);
  }
  const keys = (await listApiKeys(data)).map(({ id, name, created }) => ({ id, name, created }));
  printResult(output, json, { keys }, () =>
    keys.length === 0
      ? ['There are no keys: the API answers programs of this machine only. Make one with --add NAME.']
      : keys.map(({ id, name, created }) => `${id}  ${new Date(created * 1000).toISOString().slice(0, 10)}  ${name}`),
  );
}
