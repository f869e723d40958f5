import type { Analyzer } from '../analyzer.js';
import { alphaAnalyzer, annotationsAnalyzer } from './annotations.js';
import { blockedCidrsAnalyzer } from './authentication.js';
import { authorizationAnalyzer } from './authorization.js';
import { conditionsAnalyzer } from './conditions.js';
import { applicationUidAnalyzer, serviceAssociationAnalyzer } from './deployment.js';
import { deprecationAnalyzer } from './deprecation.js';
import { caCertificateAnalyzer, subsetAnalyzer } from './destination-rules.js';
import { envoyPatchAnalyzer } from './envoy-filters.js';
import { externalControlPlaneAnalyzer } from './external-control-plane.js';
import { gatewaySelectorAnalyzer, gatewayVersionAnalyzer } from './gateway-api.js';
import {
  conflictingGatewayAnalyzer,
  gatewayCertificateAnalyzer,
  gatewayPortAnalyzer,
  gatewaySecretAnalyzer,
} from './gateways.js';
import { imageAnalyzer, imageAutoAnalyzer, injectionAnalyzer } from './injection.js';
import { meshNetworksAnalyzer } from './multicluster.js';
import { OWN_ANALYZERS } from './own.js';
import { unreachableAnalyzer } from './schema.js';
import { conflictingProtocolAnalyzer, protocolAddressesAnalyzer } from './service-entries.js';
import { portNameAnalyzer } from './services.js';
import { destinationHostAnalyzer, destinationRuleAnalyzer } from './virtual-service-destinations.js';
import { claimRouteAnalyzer, gatewayReferenceAnalyzer } from './virtual-service-gateways.js';
import { conflictingHostsAnalyzer } from './virtual-service-hosts.js';
import { webhookAnalyzer } from './webhooks.js';
import {
  sidecarSelectorAnalyzer,
  telemetryDefaultAnalyzer,
  telemetryLightstepAnalyzer,
  telemetryProviderAnalyzer,
  telemetrySelectorAnalyzer,
} from './workload-selectors.js';

/** Every analyzer, in the order in which they run. */
export const ANALYZERS: readonly Analyzer[] = [
  annotationsAnalyzer,
  alphaAnalyzer,
  blockedCidrsAnalyzer,
  authorizationAnalyzer,
  conditionsAnalyzer,
  serviceAssociationAnalyzer,
  applicationUidAnalyzer,
  deprecationAnalyzer,
  caCertificateAnalyzer,
  subsetAnalyzer,
  envoyPatchAnalyzer,
  externalControlPlaneAnalyzer,
  gatewayPortAnalyzer,
  gatewayCertificateAnalyzer,
  gatewaySecretAnalyzer,
  conflictingGatewayAnalyzer,
  injectionAnalyzer,
  imageAnalyzer,
  imageAutoAnalyzer,
  gatewaySelectorAnalyzer,
  gatewayVersionAnalyzer,
  meshNetworksAnalyzer,
  unreachableAnalyzer,
  portNameAnalyzer,
  protocolAddressesAnalyzer,
  conflictingProtocolAnalyzer,
  sidecarSelectorAnalyzer,
  telemetryProviderAnalyzer,
  telemetrySelectorAnalyzer,
  telemetryDefaultAnalyzer,
  telemetryLightstepAnalyzer,
  conflictingHostsAnalyzer,
  destinationHostAnalyzer,
  destinationRuleAnalyzer,
  gatewayReferenceAnalyzer,
  claimRouteAnalyzer,
  webhookAnalyzer,
  ...OWN_ANALYZERS,
];
