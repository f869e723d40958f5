// The package's sub-path './config': typed authoring of configuration. It is light: only what checks or reads documents
// loads the control plane, when it is called.
export * from './config/builders.js';
export {
  type DestinationRuleHandle,
  type DestinationRuleInput,
  destinationRule,
  type SubsetFields,
} from './config/destination-rule.js';
export {
  document,
  type KindName,
  type MeshDocument,
  type Metadata,
  type NameOrMetadata,
  type YamlKind,
} from './config/document.js';
export { fromYaml } from './config/from-yaml.js';
/** The types of all fields of all kinds, each called by the way to it: `fields.VirtualServiceSpecHttpMatch`. */
export type * as fields from './config/gen/fields.js';
export {
  type ConfiguredMesh,
  defineMesh,
  type MeshDefinition,
  type MeshPart,
  type MeshValidation,
  toYaml,
} from './config/mesh.js';
export { toModule } from './config/module-text.js';
export {
  abort,
  type CanaryOptions,
  canary,
  delay,
  exact,
  type MtlsOptions,
  mtls,
  prefix,
  type RetryCondition,
  type RetryOptions,
  regex,
  retry,
  type Shares,
  split,
} from './config/routes.js';
export {
  type Destination,
  type GatewayHandle,
  gateway,
  type ServiceEntryHandle,
  type ServiceHandle,
  service,
  serviceEntry,
} from './config/services.js';
export {
  type Duration,
  hours,
  milliseconds,
  minutes,
  type PlainValue,
  seconds,
} from './config/values.js';
