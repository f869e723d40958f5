import type { ConnectionInfo, SocketEnd } from '../../src/service/connection.js';
import { createExchange, type ResponseFlag } from '../../src/service/context.js';
import type { FormatInput, FormatTools } from '../../src/service/format/input.js';
import { HeaderMap } from '../../src/service/headers.js';
import { head } from '../unit/routing/fixtures.js';

/** What Envoy's formatter tests know about an exchange. */
export interface FormatContext {
  readonly protocol?: string;
  readonly downstream_remote?: string;
  readonly downstream_direct_remote?: string;
  readonly downstream_local?: string;
  readonly upstream_remote?: string;
  readonly upstream_local?: string;
  readonly requested_server_name?: string;
  readonly upstream_host_metadata?: Record<string, Record<string, unknown>>;
  readonly filter_state?: Record<string, string>;
  readonly start_time?: string;
  readonly start_time_us?: number;
  readonly start_time_unix_us?: number;
  readonly response_flags?: ResponseFlag[];
  readonly response_code_details?: string;
  readonly headers?: Partial<Record<'request' | 'response' | 'trailer', Record<string, string>>>;
}

function endOf(text: string | undefined): SocketEnd | undefined {
  const colon = text?.lastIndexOf(':') ?? -1;
  return text === undefined ? undefined : { address: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

export function toolsOf(context: FormatContext): FormatTools {
  const us = context.start_time_us ?? context.start_time_unix_us;
  const wallMs = us === undefined ? Date.parse(context.start_time ?? '1970-01-01T00:00:00Z') : us / 1000;
  return { clock: { now: () => 0, wallTime: () => wallMs }, env: {}, hostname: 'host' };
}

export function inputOf(context: FormatContext): FormatInput {
  const exchange = createExchange('inbound', 0, 0);
  const connection: ConnectionInfo = {
    id: 1,
    remote: endOf(context.downstream_remote),
    directRemote: endOf(context.downstream_direct_remote),
    local: endOf(context.downstream_local),
    tls:
      context.requested_server_name === undefined
        ? undefined
        : {
            serverName: context.requested_server_name,
            version: '',
            cipher: '',
            sessionId: undefined,
            alpn: undefined,
            peer: undefined,
            peerVerified: false,
            localUriSan: undefined,
          },
  };
  exchange.connection = connection;
  exchange.protocol = context.protocol;
  exchange.flags = context.response_flags ?? [];
  exchange.details = context.response_code_details;
  exchange.filterState = new Map(Object.entries(context.filter_state ?? {}));
  exchange.upstream = {
    address: context.upstream_remote ?? '',
    metadata: context.upstream_host_metadata,
    local: endOf(context.upstream_local),
  };
  const { request, response, trailer } = context.headers ?? {};
  const map = (lines: Record<string, string> = {}) => HeaderMap.from(Object.entries(lines));
  return {
    request: head(request?.[':path'] ?? '', Object.entries(request ?? {})),
    response: response && { status: 0, headers: map(response) },
    trailers: trailer && map(trailer),
    exchange,
  };
}
