import { userInfo } from 'node:os';
import { createJoinTokenIn } from '../control-plane.js';
import type { Output } from './output.js';

/** What `inmesh token create` was asked for. */
export interface TokenOptions {
  readonly data: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  readonly ttlMs: number | undefined;
}

/** Makes a join token and prints it, and nothing else, so that scripts can take it. */
export async function createToken(options: TokenOptions, output: Output): Promise<number> {
  const { data, namespace, serviceAccount, trustDomain, ttlMs } = options;
  const id = `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
  const { token, expiresAtMs } = await createJoinTokenIn(data, id, {
    actor: userInfo().username,
    ...(ttlMs !== undefined && { ttlMs }),
  });
  output.out(`${token.reveal()}\n`);
  output.err(`good for one certificate of ${id}, until ${new Date(expiresAtMs).toISOString()}\n`);
  return 0;
}
