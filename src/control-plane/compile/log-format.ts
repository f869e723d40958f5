import { type AccessLogFormat, DEFAULT_ACCESS_LOG_FORMAT } from '../../model/access-log.js';
import type { MetadataStruct } from '../../model/metadata.js';

/** Istio's name of the provider that every mesh has. */
export const BUILT_IN_LOG = 'envoy';

/** A format of lines ends in a line break. */
export function withBreak(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** The format of a MeshConfig (`accessLogFormat`, `accessLogEncoding`). */
export function meshLogFormat(text: string, encoding: 'TEXT' | 'JSON'): AccessLogFormat {
  if (encoding === 'TEXT') {
    return {
      kind: 'text',
      text: text === '' ? DEFAULT_ACCESS_LOG_FORMAT : withBreak(text),
      omitEmptyValues: false,
    };
  }
  return { kind: 'json', template: templateOf(text), omitEmptyValues: false };
}

const JSON_TEMPLATE: MetadataStruct = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  requested_server_name: '%REQUESTED_SERVER_NAME%',
  route_name: '%ROUTE_NAME%',
};

function templateOf(text: string): MetadataStruct {
  if (text === '') return JSON_TEMPLATE;
  try {
    const value: unknown = JSON.parse(text);
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    // A map of JSON.
    return isMap ? (value as MetadataStruct) : JSON_TEMPLATE;
  } catch {
    // Istio: what is no JSON leaves the default in force.
    return JSON_TEMPLATE;
  }
}
