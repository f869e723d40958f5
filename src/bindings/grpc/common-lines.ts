import { createRequire } from 'node:module';
import type { ChannelOptions } from '@grpc/grpc-js';
import { HeaderMap } from '../../service/headers.js';
import { ACCEPTED } from './compression.js';

/** Header lines that all calls of a channel have. */
export function commonLines(options: ChannelOptions): readonly string[] {
  const headers = HeaderMap.from([
    ['grpc-accept-encoding', ACCEPTED],
    ['accept-encoding', 'identity'],
  ]);
  return [...transportLines(options), ...headers.toLines()];
}

/** Those of them that are the transport's. */
export function transportLines(options: ChannelOptions): readonly string[] {
  const agent = [
    options['grpc.primary_user_agent'],
    `grpc-node-js/${libraryVersion()}`,
    options['grpc.secondary_user_agent'],
  ];
  const headers = HeaderMap.from([
    ['te', 'trailers'],
    ['content-type', 'application/grpc'],
    ['user-agent', agent.filter(Boolean).join(' ')],
  ]);
  return headers.toLines();
}

let version: string | undefined;

function libraryVersion(): string {
  if (version === undefined) {
    try {
      version = String(createRequire(import.meta.url)('@grpc/grpc-js/package.json').version);
    } catch {
      // Bundled, so that it can't be asked.
      version = '1.14';
    }
  }
  return version;
}
