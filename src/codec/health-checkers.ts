import { create } from '@bufbuild/protobuf';
import type { GrpcHealthChecker, HealthChecker, TcpHealthChecker } from '../model/health-check.js';
import { core } from '../proto/xds.js';
import { onlyFields } from './field-guard.js';
import { decodeAddition, encodeAddition, modifiable } from './header-mutation.js';
import { decodeHttpChecker, encodeHttpChecker } from './health-checker-http.js';
import { decodePayload, decodePayloads, encodePayload } from './health-payload.js';
import { at, type Path, refuse } from './path.js';

const tcpFields = onlyFields(() => core.HealthCheck_TcpHealthCheckSchema, { enforced: ['send', 'receive'] });
const grpcFields = onlyFields(() => core.HealthCheck_GrpcHealthCheckSchema, {
  enforced: ['service_name', 'authority', 'initial_metadata'],
});

type Checker = core.HealthCheck['healthChecker'];

/** The kind of a check: a new one is a line here and one in `encodeChecker`. */
export function decodeChecker(checker: Checker, path: Path): HealthChecker {
  switch (checker.case) {
    case 'httpHealthCheck':
      return decodeHttpChecker(checker.value, at(path, 'http_health_check'));
    case 'tcpHealthCheck':
      return decodeTcp(checker.value, at(path, 'tcp_health_check'));
    case 'grpcHealthCheck':
      return decodeGrpc(checker.value, at(path, 'grpc_health_check'));
    default:
      return refuse(at(path, 'health_checker'), 'is required');
  }
}

function decodeTcp(message: core.HealthCheck_TcpHealthCheck, path: Path): TcpHealthChecker {
  tcpFields(message, path);
  return {
    kind: 'tcp',
    send: message.send && decodePayload(message.send, at(path, 'send')),
    receive: decodePayloads(message.receive, path, 'receive'),
  };
}

function decodeGrpc(message: core.HealthCheck_GrpcHealthCheck, path: Path): GrpcHealthChecker {
  grpcFields(message, path);
  if (/[\0\r\n]/.test(message.authority)) refuse(at(path, 'authority'), 'contains a control character');
  return {
    kind: 'grpc',
    serviceName: message.serviceName,
    authority: message.authority,
    metadata: message.initialMetadata.map((one, index) =>
      decodeAddition(one, at(path, 'initial_metadata', index), modifiable),
    ),
  };
}

/** The kind of a check as the field of a message. */
export function encodeChecker(model: HealthChecker): Checker {
  switch (model.kind) {
    case 'http':
      return { case: 'httpHealthCheck', value: encodeHttpChecker(model) };
    case 'tcp': {
      const value = create(core.HealthCheck_TcpHealthCheckSchema, {
        receive: model.receive.map(encodePayload),
      });
      if (model.send !== undefined) value.send = encodePayload(model.send);
      return { case: 'tcpHealthCheck', value };
    }
    case 'grpc': {
      const { serviceName, authority, metadata } = model;
      const initialMetadata = metadata.map(encodeAddition);
      const value = create(core.HealthCheck_GrpcHealthCheckSchema, {
        serviceName,
        authority,
        initialMetadata,
      });
      return { case: 'grpcHealthCheck', value };
    }
  }
}
