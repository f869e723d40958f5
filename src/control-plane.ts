export { type Access, parseAccess } from './control-plane/access/access-file.js';
export type { CallerOptions, KubernetesIssuer } from './control-plane/access/callers.js';
export type { ClaimConditions } from './control-plane/access/identity-template.js';
export type { CreatedJoinToken, JoinTokenRecord } from './control-plane/access/join-tokens.js';
export type { KubernetesReview } from './control-plane/access/kubernetes.js';
export type { OidcIdentity, OidcIssuer } from './control-plane/access/oidc.js';
export { createJoinTokenIn } from './control-plane/access/plane-access.js';
export type { AdminAccess, AdminRole, RoleGrant } from './control-plane/access/roles.js';
export type { AnalysisOptions } from './control-plane/analysis/analyze.js';
export type {
  AnalysisContext,
  Analyzer,
  FindingDetails,
  RegisteredService,
  RegisteredWorkload,
  Report as AnalysisReport,
} from './control-plane/analysis/analyzer.js';
export { ANALYZERS } from './control-plane/analysis/analyzers/table.js';
export {
  CODES as FINDING_CODES,
  type CodeInfo,
  type FindingCode,
  isAtLeast,
  type Level as FindingLevel,
} from './control-plane/analysis/codes.js';
export type { AnalysisDocument } from './control-plane/analysis/document.js';
export { describeFinding, type Finding, formatFinding } from './control-plane/analysis/finding.js';
export { parseSuppression, type Suppression } from './control-plane/analysis/suppressions.js';
export type { AuditLog, AuditRecord } from './control-plane/audit/audit-log.js';
export { type BundleEndpointOptions, bundleDocument } from './control-plane/bundle-endpoint.js';
export type { Authenticator, Identity, UnauthenticatedCall } from './control-plane/ca/authenticate.js';
export type { Revocation, RootPhase, StoredIntermediate } from './control-plane/ca/ca-state.js';
export type {
  AuthorityCertificateStatus,
  CaStatus,
  IssueCounts,
  RootStatus,
} from './control-plane/ca/ca-status.js';
export {
  type CertificateAuthority,
  type CertificateAuthorityOptions,
  type CertifyRequest,
  createCertificateAuthority,
  crlPem,
  type IssueRecord,
  type IssueRequest,
  type IssueServerRequest,
} from './control-plane/ca/certificate-authority.js';
export { createDirectoryCaStore } from './control-plane/ca/directory-store.js';
export type { CaSigner, SigningTemplate } from './control-plane/ca/external-signer.js';
export type { IssuedCertificate, LifePolicy } from './control-plane/ca/issuer.js';
export { type AuthorityDirectory, openCertificateAuthority } from './control-plane/ca/open-directory.js';
export type { ImportedRoot } from './control-plane/ca/own-origin.js';
export type { PluggedCa } from './control-plane/ca/plugged-authority.js';
export { revocable } from './control-plane/ca/revocable.js';
export type { RevocationDesk, RevokeRequest } from './control-plane/ca/revocation-desk.js';
export type { CaKeyType, CaStore } from './control-plane/ca/root.js';
export type { ClientCount } from './control-plane/ca/root-rotation.js';
export type {
  BeginOptions,
  CaRotation,
  RotationClients,
  StepOptions,
} from './control-plane/ca/rotation-steps.js';
export type { ControlPlaneCaOptions, FederatedSource } from './control-plane/ca-parts.js';
export type { CompiledJson, CompileTarget } from './control-plane/compile/compile-view.js';
export type { MtlsMode } from './control-plane/compile/peer-authentication.js';
export { type MeshConfigRead, readMeshConfig } from './control-plane/compile/read-mesh-config.js';
export { createControlPlane } from './control-plane/control-plane.js';
export type { Conversion, WrittenDocument } from './control-plane/convert/conversion.js';
export type { ConfigInput } from './control-plane/documents/file-reader.js';
export { type EnvoyBootstrapOptions, envoyBootstrap } from './control-plane/envoy-bootstrap.js';
export type { CallerQuery } from './control-plane/explain/caller.js';
export type { ExplainQuery } from './control-plane/explain/explain-in.js';
export type {
  ExplainedEndpoint,
  ExplainedHead,
  ExplainedPolicy,
  ExplainedRetries,
  ExplainedRoute,
  ExplainedServer,
  RequestExplanation,
} from './control-plane/explain/explanation.js';
export type { ExplainedRequest } from './control-plane/explain/request.js';
export {
  type AnalyzedFiles,
  type AnalyzeOptions,
  analyzeDocuments,
  analyzeFiles,
} from './control-plane/files/analyze-files.js';
export {
  type AuthorizationJson,
  type AuthorizationTarget,
  checkAuthorizationFiles,
  compileAuthorizationFiles,
  type FromFiles,
  migrateRbacFiles,
} from './control-plane/files/authorization-files.js';
export { compileFiles } from './control-plane/files/compile-files.js';
export { type CompileResult, compileFor } from './control-plane/files/compile-for.js';
export { type ConvertResult, convertFiles } from './control-plane/files/convert-files.js';
export {
  type ExplainResult,
  explainDocuments,
  explainFiles,
} from './control-plane/files/explain-files.js';
export {
  type GatewayApiStatusResult,
  gatewayApiStatusFiles,
} from './control-plane/files/gateway-api-files.js';
export {
  type FileObject,
  type FileObjects,
  kindMeant,
  objectsOf,
  readObjects,
} from './control-plane/files/read-objects.js';
export { type ServiceReportResult, serviceReportFiles } from './control-plane/files/service-files.js';
export {
  type ValidatedFiles,
  type ValidateOptions,
  validateDocuments,
  validateFiles,
} from './control-plane/files/validate-files.js';
export type { Condition } from './control-plane/gateway-api/condition.js';
export type { RouteGroupKind } from './control-plane/gateway-api/listeners.js';
export type {
  GatewayApiStatus,
  ListenerStatus,
  PolicyAncestorStatus,
  RouteParentStatus,
} from './control-plane/gateway-api/object-status.js';
export type {
  MtlsReport,
  MtlsWorkload,
  PlaintextRule,
  PlaintextUse,
} from './control-plane/insight/mtls-report.js';
export type { ServiceEndpoint, ServiceReport } from './control-plane/insight/service-report.js';
export type { IssuerKeysOptions } from './control-plane/issuer-keys.js';
export {
  closestKind,
  type JsonSchema,
  jsonSchemaOf,
  jsonSchemaOfAll,
  SCHEMA_KINDS,
} from './control-plane/kinds/json-schema.js';
export type { FieldPath, Origin } from './control-plane/kinds/view.js';
export type { ExtensionProviderInput } from './control-plane/mesh/extension-provider.js';
export type {
  AccessLogDefaults,
  ConnectionDefaults,
  DefaultVisibility,
  LocalityLbSetting,
  MeshSettings,
  PathNormalization,
  RegionFailover,
  TracingDefaults,
  ZoneAwareLbSetting,
} from './control-plane/mesh/mesh-config.js';
export type { StoreRole } from './control-plane/open-store.js';
export type { ControlPlaneLimits, ControlPlaneOptions } from './control-plane/options.js';
export type { ControlPlane, ControlPlaneStatus } from './control-plane/plane.js';
export type {
  AuthorizationCheck,
  AuthorizationQuery,
  AuthorizationStep,
  EffectivePolicy,
} from './control-plane/policy/authorization-check.js';
export type { CheckedRequest } from './control-plane/policy/checked-request.js';
export type { MigratedPolicy, MigratedRbac } from './control-plane/policy/legacy-rbac.js';
export type {
  PolicyAccount,
  PolicyGroup,
  PolicyMatch,
  PolicyRange,
  PolicyRule,
  PolicyText,
  WorkloadPolicy,
} from './control-plane/policy/workload-policy.js';
export type { RuntimeLayers } from './control-plane/runtime-layers.js';
export type { ConfigText, Place } from './control-plane/schema/config-file.js';
export { documentTexts } from './control-plane/schema/document-texts.js';
export { formatViolation, formatViolations } from './control-plane/schema/format.js';
export type { PlainObject, PlainValue } from './control-plane/schema/value.js';
export {
  formatPath,
  type RuleViolation,
  type Severity,
  type Violation,
} from './control-plane/schema/violation.js';
export type { StreamLimits } from './control-plane/serve/admission.js';
export type { AppliedReport } from './control-plane/serve/applied.js';
export type { ClientSync, ResourceDifference } from './control-plane/serve/client-sync.js';
export type { AccessLimits, ConnectionLimits } from './control-plane/serve/grpc-server.js';
export type { DropFigures, LoadFigures, LoadSummary } from './control-plane/serve/load-reports.js';
export type { ResourceTtlOptions } from './control-plane/serve/resource-ttls.js';
export type { ClientStatus, RefusedResource, TypeStatus } from './control-plane/serve/status.js';
export { isConfigModule } from './control-plane/sources/config-module.js';
export {
  createMemorySource,
  type DocumentSet,
  type MemorySource,
} from './control-plane/sources/memory-source.js';
export { createModuleSource, type ModuleSourceOptions } from './control-plane/sources/module-source.js';
export type { ConfigSink, ConfigSource } from './control-plane/sources/source.js';
export type { HeldChange } from './control-plane/store/config-store.js';
export type { MassRemovalOptions, Removal } from './control-plane/store/mass-removal.js';
export type { AccessLogFormat } from './model/access-log.js';
export type { MetadataStruct, MetadataValue } from './model/metadata.js';
export type { ResourceShortName } from './model/resource-short-name.js';
export type { RevokedNames, TrustDocument, TrustedAuthorities } from './model/trust.js';
export type { Secret } from './runtime/secret.js';
