/** How bad a finding is. */
export type Level = 'Error' | 'Warning' | 'Info';

/** What a code of a finding stands for. */
export interface CodeInfo {
  readonly name: string;
  readonly level: Level;
  readonly summary: string;
}

const code = (name: string, level: Level, summary: string): CodeInfo => ({ name, level, summary });

/** Every code that analysis gives. `IST...` are Istio's, with its names and levels; `INM...` are found by inmesh only. */
export const CODES = {
  IST0002: code(
    'Deprecated',
    'Warning',
    'a field, a provider or a kind of Istio that is deprecated or removed',
  ),
  IST0101: code('ReferencedResourceNotFound', 'Error', 'something a document refers to is not there'),
  IST0102: code('NamespaceNotInjected', 'Info', 'a namespace says nothing about sidecar injection'),
  IST0103: code('PodMissingProxy', 'Warning', 'a pod of an injected namespace has no proxy'),
  IST0106: code('SchemaValidationError', 'Error', 'a document breaks a rule of its kind'),
  IST0107: code('MisplacedAnnotation', 'Warning', 'an Istio annotation on a kind where it has no effect'),
  IST0108: code('UnknownAnnotation', 'Warning', 'an annotation of *.istio.io that Istio does not know'),
  IST0109: code(
    'ConflictingMeshGatewayVirtualServiceHosts',
    'Error',
    'several VirtualServices rule the same host for the mesh',
  ),
  IST0110: code('ConflictingSidecarWorkloadSelectors', 'Error', 'several Sidecars select the same pod'),
  IST0111: code(
    'MultipleSidecarsWithoutWorkloadSelectors',
    'Error',
    'several Sidecars without selector in one namespace',
  ),
  IST0112: code(
    'VirtualServiceDestinationPortSelectorRequired',
    'Error',
    'a route to a service of several ports names none',
  ),
  IST0116: code(
    'DeploymentAssociatedToMultipleServices',
    'Warning',
    'services of one workload use a port with different protocols',
  ),
  IST0118: code(
    'PortNameIsNotUnderNamingConvention',
    'Info',
    'the protocol of a service port cannot be told by its name',
  ),
  IST0123: code(
    'NamespaceMultipleInjectionLabels',
    'Warning',
    'a namespace has labels for more than one data plane',
  ),
  IST0125: code('InvalidAnnotation', 'Warning', 'an Istio annotation has a value that it cannot have'),
  IST0126: code(
    'UnknownMeshNetworksServiceRegistry',
    'Error',
    'MeshNetworks name a registry that is not there',
  ),
  IST0127: code(
    'NoMatchingWorkloadsFound',
    'Warning',
    'an AuthorizationPolicy selects no workload of the mesh',
  ),
  IST0128: code(
    'NoServerCertificateVerificationDestinationLevel',
    'Warning',
    'a DestinationRule originates TLS without verifying the server',
  ),
  IST0129: code(
    'NoServerCertificateVerificationPortLevel',
    'Warning',
    'a DestinationRule originates TLS on a port without verifying the server',
  ),
  IST0130: code('VirtualServiceUnreachableRule', 'Warning', 'a route that earlier routes leave no request'),
  IST0131: code('VirtualServiceIneffectiveMatch', 'Info', 'a match that an earlier match covers'),
  IST0132: code(
    'VirtualServiceHostNotFoundInGateway',
    'Warning',
    'no host of a VirtualService is at its gateway',
  ),
  IST0133: code('SchemaWarning', 'Warning', 'a document is odd, but not refused'),
  IST0134: code(
    'ServiceEntryAddressesRequired',
    'Warning',
    'a ServiceEntry of TCP has no addresses to tell it by',
  ),
  IST0135: code('DeprecatedAnnotation', 'Info', 'an Istio annotation that is deprecated'),
  IST0136: code('AlphaAnnotation', 'Info', 'an Istio annotation of an alpha feature'),
  IST0137: code(
    'DeploymentConflictingPorts',
    'Warning',
    'services of one workload send different ports to the same target port',
  ),
  IST0138: code(
    'GatewayDuplicateCertificate',
    'Warning',
    'two gateways of the same workload share a certificate',
  ),
  IST0139: code('InvalidWebhook', 'Error', 'injection webhooks overlap, or call a service that is not there'),
  IST0140: code(
    'IngressRouteRulesNotAffected',
    'Warning',
    'a gateway route goes past the subsets meant for its host',
  ),
  IST0144: code('InvalidApplicationUID', 'Warning', 'a program runs as user 1337, which is the proxy'),
  IST0145: code('ConflictingGateways', 'Error', 'gateways of one workload share port and host'),
  IST0146: code(
    'ImageAutoWithoutInjectionWarning',
    'Warning',
    'a Deployment waits for an injected image, but no webhook injects it',
  ),
  IST0147: code(
    'ImageAutoWithoutInjectionError',
    'Error',
    'a Pod waits for an injected image that it never gets',
  ),
  IST0148: code(
    'NamespaceInjectionEnabledByDefault',
    'Info',
    'a namespace is injected because all are by default',
  ),
  IST0149: code(
    'JwtClaimBasedRoutingWithoutRequestAuthN',
    'Error',
    'routes by JWT claims at a gateway that verifies no tokens',
  ),
  IST0150: code(
    'ExternalNameServiceTypeInvalidPortName',
    'Warning',
    'a port of an ExternalName service catches traffic of others',
  ),
  IST0151: code(
    'EnvoyFilterUsesRelativeOperation',
    'Warning',
    'an EnvoyFilter without priority depends on the order of others',
  ),
  IST0152: code(
    'EnvoyFilterUsesReplaceOperationIncorrectly',
    'Error',
    'REPLACE works on HTTP_FILTER and NETWORK_FILTER only',
  ),
  IST0153: code(
    'EnvoyFilterUsesAddOperationIncorrectly',
    'Error',
    'ADD does nothing on ROUTE_CONFIGURATION and HTTP_ROUTE',
  ),
  IST0154: code(
    'EnvoyFilterUsesRemoveOperationIncorrectly',
    'Error',
    'REMOVE does nothing on ROUTE_CONFIGURATION and HTTP_ROUTE',
  ),
  IST0155: code(
    'EnvoyFilterUsesRelativeOperationWithProxyVersion',
    'Warning',
    'an EnvoyFilter depends on another that holds for some versions only',
  ),
  IST0157: code(
    'InvalidTelemetryProvider',
    'Warning',
    'a Telemetry names no access log provider, and the mesh has none',
  ),
  IST0158: code(
    'PodsIstioProxyImageMismatchInNamespace',
    'Warning',
    'pods run another proxy image than the injector gives',
  ),
  IST0159: code('ConflictingTelemetryWorkloadSelectors', 'Error', 'several Telemetries select the same pod'),
  IST0160: code(
    'MultipleTelemetriesWithoutWorkloadSelectors',
    'Error',
    'several Telemetries without selector in one namespace',
  ),
  IST0161: code('InvalidGatewayCredential', 'Error', 'the Secret of a gateway holds no usable certificate'),
  IST0162: code('GatewayPortNotDefinedOnService', 'Warning', 'no Service leads to the port of a gateway'),
  IST0163: code(
    'InvalidExternalControlPlaneConfig',
    'Warning',
    'the webhook of an external control plane has no usable address',
  ),
  IST0164: code(
    'ExternalControlPlaneAddressIsNotAHostname',
    'Info',
    'the webhook of an external control plane calls an IP address',
  ),
  IST0165: code(
    'ReferencedInternalGateway',
    'Warning',
    'a VirtualService names a gateway that Istio generates',
  ),
  IST0166: code('IneffectiveSelector', 'Warning', 'a selector has no effect on gateways of the Gateway API'),
  IST0167: code('IneffectivePolicy', 'Warning', 'a policy has no effect where it stands'),
  IST0171: code(
    'NegativeConditionStatus',
    'Warning',
    'the status of a document has a condition that is False',
  ),
  IST0173: code('DestinationRuleSubsetNotSelectPods', 'Error', 'a subset selects no pod'),
  IST0174: code('UnknownDestinationRuleHost', 'Warning', 'the host of a DestinationRule is no service'),
  IST0175: code('JwksUriFetchUnrestricted', 'Warning', 'istiod may fetch JWKS from any address'),
  IST0176: code(
    'GatewayAPICRDVersionBelowMinimum',
    'Warning',
    'a definition of the Gateway API is too old for its kind to be read',
  ),
  IST0177: code(
    'ConflictingServiceEntryProtocol',
    'Warning',
    'ServiceEntries give one host and port different protocols',
  ),
  INM0001: code('UnreadableDocument', 'Error', 'a file cannot be read, is no YAML, or is too large'),
  INM0002: code('UnreachableRoute', 'Warning', 'an earlier route takes every request of a later one'),
  INM0003: code(
    'TimeoutShorterThanTries',
    'Warning',
    'the timeout of a route ends before its retries can be made',
  ),
  INM0004: code('RetryAmplification', 'Warning', 'retries of a route add up to many tries of one request'),
  INM0005: code('ForgottenWeight', 'Warning', 'a destination of a split has no weight and gets nothing'),
  INM0006: code('EjectionOfAll', 'Warning', 'outlier detection may take out every host of a service'),
  INM0007: code(
    'ShadowedDestinationRule',
    'Warning',
    'several DestinationRules of one namespace are for one host',
  ),
  INM0008: code(
    'PlaintextToStrict',
    'Error',
    'a DestinationRule turns TLS off towards workloads that insist on mTLS',
  ),
  INM0009: code(
    'DenyWithoutCondition',
    'Warning',
    'an AuthorizationPolicy refuses every request, perhaps by mistake',
  ),
  INM0010: code('UnusedSubset', 'Info', 'no route leads to a subset'),
} as const satisfies Readonly<Record<string, CodeInfo>>;

/** A code of a finding. */
export type FindingCode = keyof typeof CODES;

/** Levels from the worst. */
export const LEVELS: readonly Level[] = ['Error', 'Warning', 'Info'];

/** Whether a level is at least as bad as another. */
export function isAtLeast(level: Level, other: Level): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(other);
}
