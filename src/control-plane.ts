export {
  type ControlPlane,
  type ControlPlaneOptions,
  type ControlPlaneStatus,
  createControlPlane,
} from './control-plane/control-plane.js';
export { formatViolation, formatViolations } from './control-plane/schema/format.js';
export type { RuleViolation, Severity, Violation } from './control-plane/schema/violation.js';
export type { ClientStatus } from './control-plane/serve/client-session.js';
export type { TypeStatus } from './control-plane/serve/subscription.js';
export { createMemorySource, type MemorySource } from './control-plane/sources/memory-source.js';
export type { ConfigSink, ConfigSource } from './control-plane/sources/source.js';
