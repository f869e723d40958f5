import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import { type CompiledJson, type CompileTarget, compileWithLosses } from '../compile/compile-view.js';
import type { ConfigInput } from '../documents/file-reader.js';
import { createMeshConfig } from '../mesh/mesh-config.js';
import { snapshotOf } from '../registry/snapshot.js';
import type { Violation } from '../schema/violation.js';
import { createConfigStore } from '../store/config-store.js';

/** What documents come to for one client. */
export type CompileResult =
  | {
      readonly accepted: true;
      readonly resources: CompiledJson;
      readonly warnings: readonly Violation[];
      /** What is not followed, one sentence each: by gRPC's own clients, and of EnvoyFilters by members. */
      readonly losses: readonly string[];
    }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

const NOBODY = snapshotOf([]);

/** Compiles documents for one client, as the control plane would when nobody is registered. */
export function compileFor(input: ConfigInput, target: CompileTarget): CompileResult {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger }, { isPreview: true });
  const result = store.propose('documents', input);
  if (!result.accepted) return { accepted: false, violations: result.violations };
  const config = createMeshConfig(target.mesh ?? {});
  const { resources, losses } = compileWithLosses(store.current.value, NOBODY, config, target);
  return { accepted: true, resources, warnings: store.warnings.value, losses };
}
