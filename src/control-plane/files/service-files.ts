import { systemClock } from '../../runtime/clock.js';
import { silentLogger } from '../../runtime/log.js';
import { meshConfigOf } from '../compile/mesh-document.js';
import { type ServiceReport, serviceReports } from '../insight/service-report.js';
import { createMeshConfig } from '../mesh/mesh-config.js';
import { snapshotOf } from '../registry/snapshot.js';
import { DEFAULT_LIMITS } from '../schema/limits.js';
import type { Violation } from '../schema/violation.js';
import { readFiles } from '../sources/read-files.js';
import { createConfigStore } from '../store/config-store.js';

/** The services in documents, or what is wrong with these. */
export type ServiceReportResult =
  | { readonly accepted: true; readonly services: readonly ServiceReport[] }
  | { readonly accepted: false; readonly violations: readonly Violation[] };

/** Tells of the services in files and folders, as they would be before anybody registered. */
export async function serviceReportFiles(
  paths: readonly string[],
  wanted: { readonly namespace?: string | undefined; readonly name?: string | undefined } = {},
): Promise<ServiceReportResult> {
  const store = createConfigStore(
    { clock: systemClock, logger: silentLogger },
    // It looks at what is there; what is not carried out does not matter to it.
    { allowUnsupported: true },
  );
  const result = store.propose('documents', await readFiles(paths, DEFAULT_LIMITS));
  if (!result.accepted) return { accepted: false, violations: result.violations };
  const view = store.current.value;
  const config = meshConfigOf(view, createMeshConfig({}));
  return { accepted: true, services: serviceReports({ view, registry: snapshotOf([]), config }, wanted) };
}
