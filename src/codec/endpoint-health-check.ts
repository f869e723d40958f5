import { create } from '@bufbuild/protobuf';
import type { EndpointHealthCheck } from '../model/health-check.js';
import { endpoint } from '../proto/xds.js';
import { checkPort, decodeAddress, encodeAddress } from './address.js';
import { onlyFields } from './field-guard.js';
import { at, type Path } from './path.js';

const configFields = onlyFields(() => endpoint.Endpoint_HealthCheckConfigSchema, {
  enforced: ['port_value', 'hostname', 'address', 'disable_active_health_check'],
});

/** How an endpoint is checked; undefined when it says nothing of its own. */
export function decodeEndpointHealthCheck(
  config: endpoint.Endpoint_HealthCheckConfig | undefined,
  path: Path,
): EndpointHealthCheck | undefined {
  if (config === undefined) return undefined;
  configFields(config, path);
  checkPort(config.portValue, () => path);
  return {
    port: config.portValue,
    address: config.address && decodeAddress(config.address, 'ip', at(path, 'address')),
    hostname: config.hostname,
    isDisabled: config.disableActiveHealthCheck,
  };
}

/** How an endpoint is checked as a message. */
export function encodeEndpointHealthCheck(model: EndpointHealthCheck): endpoint.Endpoint_HealthCheckConfig {
  const message = create(endpoint.Endpoint_HealthCheckConfigSchema, {
    portValue: model.port,
    hostname: model.hostname,
    disableActiveHealthCheck: model.isDisabled,
  });
  if (model.address !== undefined) message.address = encodeAddress(model.address);
  return message;
}
