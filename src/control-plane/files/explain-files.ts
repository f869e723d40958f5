import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import { createCompiler } from '../compile/compile.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import type { ConfigInput } from '../documents/file-reader.js';
import { type ExplainQuery, explainIn } from '../explain/explain-in.js';
import type { RequestExplanation } from '../explain/explanation.js';
import { createMeshConfig, type MeshSettings } from '../mesh/mesh-config.js';
import { snapshotOf } from '../registry/snapshot.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';
import { createConfigStore } from '../store/config-store.js';

/** What documents would do with a request. */
export type ExplainResult =
  | {
      readonly accepted: true;
      readonly explanation: RequestExplanation;
      readonly warnings: readonly Violation[];
    }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Tells what the documents in files and folders would do with a request. */
export async function explainFiles(
  paths: readonly string[],
  query: ExplainQuery,
  mesh: MeshSettings = {},
): Promise<ExplainResult> {
  return explainDocuments(await readFiles(paths, DEFAULT_LIMITS), query, mesh);
}

/** Tells what documents would do with a request when nobody is registered. */
export async function explainDocuments(
  input: ConfigInput,
  query: ExplainQuery,
  mesh: MeshSettings = {},
): Promise<ExplainResult> {
  const store = createConfigStore({ clock: systemClock, logger: silentLogger }, { isPreview: true });
  const result = store.propose('documents', input);
  if (!result.accepted) return { accepted: false, violations: result.violations };
  const view = store.current.value;
  const config = meshConfigOf(view, createMeshConfig(mesh));
  const compiler = createCompiler(config, { assumesSecrets: true });
  const state = { view, registry: snapshotOf([]), config, compiler };
  return { accepted: true, explanation: await explainIn(state, query), warnings: store.warnings.value };
}
