import type { Kind } from '../kind.js';
import { isIpAddress } from '../names.js';
import { createReport, entriesOf, type Report } from '../report.js';
import type { Document, FieldPath } from '../view.js';
import { checkSelector, checkUnique } from './common-rules.js';
import { apiGatewaySchema, gatewayClassSchema, listenerSetSchema } from './gateway-schema.js';
import type { ApiGatewaySpec, ApiListener } from './types.js';

/** Gateway API GatewayClass. */
export const gatewayClassKind: Kind<'GatewayClass'> = {
  name: 'GatewayClass',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: gatewayClassSchema,
  validate: () => [],
};

/** Gateway API Gateway: carried out by Envoys. */
export const apiGatewayKind: Kind<'Gateway.gateway.networking.k8s.io'> = {
  name: 'Gateway.gateway.networking.k8s.io',
  apiVersions: [
    'gateway.networking.k8s.io/v1',
    'gateway.networking.k8s.io/v1beta1',
    'gateway.networking.k8s.io/v1alpha2',
  ],
  schema: apiGatewaySchema,
  validate: validateGateway,
};

/** Gateway API ListenerSet: further listeners of a Gateway. */
export const listenerSetKind: Kind<'ListenerSet'> = {
  name: 'ListenerSet',
  apiVersions: ['gateway.networking.k8s.io/v1'],
  schema: listenerSetSchema,
  validate({ spec }) {
    const report = createReport();
    checkListeners(spec.listeners, report);
    return report.violations;
  },
};

const ADDRESS_HOST = /^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

function validateGateway({ spec }: Document<'Gateway.gateway.networking.k8s.io'>) {
  const report = createReport();
  checkListeners(spec.listeners, report);
  checkAddresses(spec, report);
  checkSelector(
    spec.allowedListeners?.namespaces?.selector,
    ['spec', 'allowedListeners', 'namespaces', 'selector'],
    report,
  );
  checkUnique(spec.tls?.frontend?.perPort, ['spec', 'tls', 'frontend', 'perPort'], {
    keyOf: ({ port }) => String(port),
    what: 'port',
    report,
  });
  return report.violations;
}

function checkAddresses({ addresses }: ApiGatewaySpec, report: Report): void {
  const path = ['spec', 'addresses'];
  checkUnique(addresses, path, {
    keyOf: ({ type, value }) => (value ? `${type} ${value}` : undefined),
    what: 'address',
    report,
  });
  for (const [{ type, value = '' }, at] of entriesOf(addresses, path)) {
    if (value === '') continue;
    if (type === 'IPAddress' && !isIpAddress(value))
      report.invalid([...at, 'value'], `${JSON.stringify(value)} is no IP address`);
    if (type === 'Hostname' && !ADDRESS_HOST.test(value))
      report.invalid([...at, 'value'], `${JSON.stringify(value)} is no host name`);
  }
}

/** The rules of the CRDs about the listeners of a Gateway or a ListenerSet. */
function checkListeners(listeners: readonly ApiListener[], report: Report): void {
  const path = ['spec', 'listeners'];
  checkUnique(listeners, path, { keyOf: ({ name }) => name, what: 'name', report });
  checkUnique(listeners, path, {
    keyOf: ({ port, protocol, hostname = '' }) => `${port} ${protocol} ${hostname}`,
    what: 'combination of port, protocol and hostname',
    report,
  });
  for (const [listener, at] of entriesOf(listeners, path)) checkListener(listener, at, report);
}

function checkListener(listener: ApiListener, path: FieldPath, report: Report): void {
  const { tls, hostname, allowedRoutes } = listener;
  const protocol = listener.protocol.toUpperCase();
  if (['HTTP', 'TCP', 'UDP'].includes(protocol) && tls !== undefined)
    report.invalid([...path, 'tls'], `tls must not be given for the protocol ${protocol}`);
  if (protocol === 'TLS' && tls === undefined)
    report.invalid(path, 'tls with its mode must be given for the protocol TLS');
  if (protocol === 'HTTPS' && tls?.mode === 'Passthrough')
    report.invalid([...path, 'tls', 'mode'], 'the mode must be Terminate for the protocol HTTPS');
  if (['TCP', 'UDP'].includes(protocol) && hostname !== undefined)
    report.invalid([...path, 'hostname'], `a hostname must not be given for the protocol ${protocol}`);
  const { certificateRefs = [], options = {}, mode } = tls ?? {};
  if (mode === 'Terminate' && certificateRefs.length === 0 && Object.keys(options).length === 0)
    report.invalid([...path, 'tls'], 'certificateRefs must be given where TLS ends');
  checkSelector(
    allowedRoutes.namespaces.selector,
    [...path, 'allowedRoutes', 'namespaces', 'selector'],
    report,
  );
}
