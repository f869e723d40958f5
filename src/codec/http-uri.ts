import { create } from '@bufbuild/protobuf';
import type { HttpUri } from '../model/http-uri.js';
import { core } from '../proto/xds.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const uriFields = onlyFields(() => core.HttpUriSchema, { enforced: ['uri', 'cluster', 'timeout'] });

/** The URL; its timeout is required, as in Envoy. */
export function decodeHttpUri(message: core.HttpUri, path: Path): HttpUri {
  uriFields(message, path);
  const { uri, httpUpstreamType, timeout } = message;
  if (!/^(?:https?:\/\/)?[^\s/?#]+/i.test(uri)) refuse(at(path, 'uri'), `${JSON.stringify(uri)} is no URL`);
  if (httpUpstreamType.case !== 'cluster' || httpUpstreamType.value === '') {
    return refuse(at(path, 'cluster'), 'must not be empty');
  }
  const timeoutMs = decodeDuration(required(timeout, at(path, 'timeout')), at(path, 'timeout'));
  return { uri, cluster: httpUpstreamType.value, timeoutMs };
}

/** The URL as a message. */
export function encodeHttpUri({ uri, cluster, timeoutMs }: HttpUri): core.HttpUri {
  return create(core.HttpUriSchema, {
    uri,
    httpUpstreamType: { case: 'cluster', value: cluster },
    timeout: encodeDuration(timeoutMs),
  });
}
