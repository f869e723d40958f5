import type { ServerFeatures } from '../../xds/server.js';
import type { Field } from './field.js';
import {
  CAREFUL_KEEPALIVE_MS,
  type ChannelSecurity,
  CONTROL_PLANE_PATH,
  type ProviderFiles,
  type ServerSpec,
} from './server-spec.js';
import { bareTarget } from './target.js';

/** Reads a list of xDS servers (gRFC A27). */
export function readServers(list: Field): readonly ServerSpec[] {
  return list.items().map(readServer);
}

function readServer(field: Field): ServerSpec {
  const uri = field.get('server_uri');
  const target = bareTarget(uri.text()) ?? uri.fail('is neither host:port nor unix:path');
  const security = readChannelCredentials(field.get('channel_creds'));
  const tokenFile = readCallCredentials(field.get('call_creds'));
  if (tokenFile !== undefined && security.kind === 'insecure') {
    field.get('call_creds').fail('would send a token in plaintext: channel_creds must be "tls" for that');
  }
  return {
    target,
    security,
    tokenFile,
    features: readFeatures(field.get('server_features')),
    streams: 'aggregated',
    protocol: 'sotw',
    keepaliveMs: CAREFUL_KEEPALIVE_MS,
  };
}

/** The first of a known type counts (gRFC A27). */
function readChannelCredentials(list: Field): ChannelSecurity {
  const items = list.items();
  for (const item of items) {
    const config = item.get('config');
    switch (item.get('type').text()) {
      case 'insecure':
        return { kind: 'insecure' };
      case 'google_default':
        return { kind: 'tls', caFile: undefined, certificateFile: undefined, keyFile: undefined };
      case 'tls':
        return { kind: 'tls', ...readServerFiles(config) };
      case 'inmesh':
        return { kind: 'mesh', serverIds: readServerIds(config.get('server_ids')) };
    }
  }
  const given = items.map((item) => JSON.stringify(item.get('type').text())).join(', ');
  const known = 'inmesh knows "insecure", "tls", "google_default" and "inmesh"';
  return list.fail(
    given === '' ? `names no credentials; ${known}` : `has ${given}, of which none is known; ${known}`,
  );
}

/** gRFC A65 for servers, A29 for the certificate provider `file_watcher`. */
export function readTlsFiles(config: Field): ProviderFiles {
  const certificateFile = nonEmpty(config.get('certificate_file'));
  const keyFile = nonEmpty(config.get('private_key_file'));
  if ((certificateFile === undefined) !== (keyFile === undefined)) {
    config.fail('must have both certificate_file and private_key_file, or neither');
  }
  const caFile = nonEmpty(config.get('ca_certificate_file'));
  const bundleMapFile = nonEmpty(config.get('spiffe_trust_bundle_map_file'));
  return {
    // gRFC A87: with a map the other file is not looked at.
    caFile: bundleMapFile === undefined ? caFile : undefined,
    ...(bundleMapFile !== undefined && { bundleMapFile }),
    certificateFile,
    keyFile,
    refreshMs: readDuration(config.get('refresh_interval'), 600_000),
  };
}

/** Names of servers are DNS names, of which a bundle map knows nothing. */
function readServerFiles(config: Field): ProviderFiles {
  const files = readTlsFiles(config);
  if (files.bundleMapFile !== undefined)
    config.get('spiffe_trust_bundle_map_file').fail('is not supported for servers: use ca_certificate_file');
  return files;
}

function readServerIds(list: Field): readonly string[] {
  const ids = list.items().map((item) => item.text());
  return ids.length > 0 ? ids : [CONTROL_PLANE_PATH];
}

/** All of a known type count, unknown ones are passed over (gRFC A97). */
function readCallCredentials(list: Field): string | undefined {
  let path: string | undefined;
  for (const item of list.items()) {
    if (item.get('type').text() !== 'jwt_token_file') continue;
    if (path !== undefined) item.fail('is the second token; one can be sent');
    const file = item.get('config').get('jwt_token_file');
    path = nonEmpty(file) ?? file.fail('is missing');
  }
  return path;
}

function readFeatures(list: Field): ServerFeatures {
  // gRPC: what is not known, or no text, is passed over.
  const names = new Set(list.items().map((item) => item.unknown()));
  return {
    ignoreResourceDeletion: names.has('ignore_resource_deletion'),
    isTrusted: names.has('trusted_xds_server'),
    failOnDataErrors: names.has('fail_on_data_errors'),
    timerIsTransientError: names.has('resource_timer_is_transient_error'),
  };
}

/** A google.protobuf.Duration in JSON. */
function readDuration(field: Field, defaultMs: number): number {
  const text = field.optionalText();
  if (text === undefined) return defaultMs;
  const match = /^(\d{1,12})(\.\d{1,9})?s$/.exec(text);
  const ms = match === null ? 0 : Math.round(Number(text.slice(0, -1)) * 1000);
  return ms > 0 ? ms : field.fail('must be a duration above zero such as "600s"');
}

function nonEmpty(field: Field): string | undefined {
  return field.optionalText() || undefined;
}
