import { rootPath } from '../../../../../src/codec/path.js';
import { decodeRbac, encodeRbac } from '../../../../../src/codec/rbac.js';
import { authorizationCompiler } from '../../../../../src/control-plane/compile/authorization/workload.js';
import type { PolicySubject } from '../../../../../src/control-plane/compile/policy-scope.js';
import { createMeshConfig, type MeshSettings } from '../../../../../src/control-plane/mesh/mesh-config.js';
import { snapshotOf } from '../../../../../src/control-plane/registry/snapshot.js';
import type { HttpFilter } from '../../../../../src/model/filter-config.js';
import { compileRbac } from '../../../../../src/routing/rbac.js';
import type { makeRequest } from '../../../filters/support.js';
import { viewOf } from '../mesh.js';

/** One AuthorizationPolicy as text. */
export function policy(name: string, spec: string, place = 'namespace: default'): string {
  return `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, ${place}}\nspec: ${spec}\n`;
}

/** Who is asked for below unless said otherwise. */
export const SUBJECT: PolicySubject = { namespace: 'default', labels: { app: 'a' } };

/** What policies come to for a workload. */
export function authorizationOf(text: string, subject = SUBJECT, settings: MeshSettings = {}) {
  return authorizationCompiler(viewOf(text), snapshotOf([]), createMeshConfig(settings))(subject);
}

/** Whether filters of rules let a request pass, as the SDK reads them from the wire. */
export function passes(filters: readonly HttpFilter[], request: ReturnType<typeof makeRequest>): boolean {
  return filters.every(({ config }) => {
    if (config.kind !== 'rbac') throw new Error(`no filter of rules: ${config.kind}`);
    const { rules } = decodeRbac(encodeRbac(config), rootPath('test'));
    return rules === undefined || compileRbac(rules)(request).allowed;
  });
}
