import { isEqual } from '../../runtime/equal.js';
import { groupBy } from '../../runtime/group-by.js';
import { derived, lookup } from '../kinds/derived.js';
import { GATEWAY_GROUP } from '../kinds/gateway-api/fields.js';
import type { ConfigView, Document } from '../kinds/view.js';
import { serviceHost } from '../mesh/names.js';
import type { MeshService } from '../mesh/services.js';
import { isComplaint, resolveRoots } from './certificates.js';
import type { Complaint } from './condition.js';
import { indexGrants } from './grants.js';

/** A BackendTLSPolicy at one of its targets. */
export interface BackendTls {
  readonly policy: Document<'BackendTLSPolicy'>;
  readonly host: string;
  /** Name of the port of the service; undefined = each of its ports. */
  readonly section: string | undefined;
  /** PEM of the roots; undefined = those of the platform. */
  readonly roots: string | undefined;
  readonly serverName: string;
  /** Names of which the server must prove one. */
  readonly names: readonly string[];
  /** What is wrong with its references; connections fail. */
  readonly unresolved: Complaint | undefined;
  /** Why the policy is not followed here. */
  readonly notAccepted: Complaint | undefined;
}

/** All BackendTLSPolicies by target; remembered with the view. */
export const backendTlsOf = derived(computeAll);

/** The policies for a service that are followed. */
const backendTlsAt = lookup(
  derived((view) =>
    groupBy(
      backendTlsOf(view).filter((one) => !isConflicted(one)),
      ({ host }) => host,
    ),
  ),
  (byHost, host: string) => byHost.get(host),
  isEqual,
);

/** The policy for a port of a service: one for that port before one for the whole service. */
export function backendTlsFor(view: ConfigView, host: string, portName: string): BackendTls | undefined {
  const own = backendTlsAt(view, host);
  return (
    own?.find(({ section }) => section !== undefined && section === portName) ??
    own?.find(({ section }) => section === undefined)
  );
}

/** Whether there is a service, and a port of it, that the policy is for. */
export function isTargetThere(
  { host, section }: BackendTls,
  services: ReadonlyMap<string, MeshService>,
): boolean {
  const ports = services.get(host)?.ports;
  return ports !== undefined && (section === undefined || ports.some(({ name }) => name === section));
}

function isConflicted({ notAccepted }: BackendTls): boolean {
  return notAccepted?.reason === 'Conflicted';
}

function computeAll(view: ConfigView): readonly BackendTls[] {
  const taken = new Map<string, Document<'BackendTLSPolicy'>>();
  return view.list('BackendTLSPolicy').flatMap((policy) => {
    const { roots, unresolved, invalid } = rootsOf(policy, view);
    return policy.spec.targetRefs.flatMap(({ group, kind, name, sectionName }): BackendTls[] => {
      if (group !== '' || kind !== 'Service') return [];
      const host = serviceHost(name, policy.namespace);
      const key = `${host} ${sectionName ?? ''}`;
      const other = taken.get(key);
      if (other === undefined) taken.set(key, policy);
      return [
        {
          policy,
          host,
          section: sectionName,
          roots,
          serverName: policy.spec.validation.hostname,
          names: namesOf(policy),
          unresolved,
          notAccepted:
            other === undefined
              ? invalid
              : { reason: 'Conflicted', message: `the older policy ${other.name} has the same target` },
        },
      ];
    });
  });
}

function namesOf({ spec }: Document<'BackendTLSPolicy'>): readonly string[] {
  const { subjectAltNames = [], hostname } = spec.validation;
  const names = subjectAltNames.flatMap((one) => (one.type === 'URI' ? one.uri : one.hostname) ?? []);
  return names.length === 0 ? [hostname] : names;
}

function rootsOf(
  policy: Document<'BackendTLSPolicy'>,
  view: ConfigView,
): {
  readonly roots: string | undefined;
  readonly unresolved: Complaint | undefined;
  readonly invalid: Complaint | undefined;
} {
  const { caCertificateRefs: references = [], wellKnownCACertificates = '' } = policy.spec.validation;
  if (wellKnownCACertificates !== '' && wellKnownCACertificates !== 'System') {
    const message = `the roots ${wellKnownCACertificates} are not known; System is`;
    return { roots: undefined, unresolved: undefined, invalid: { reason: 'Invalid', message } };
  }
  const from = { group: GATEWAY_GROUP, kind: 'BackendTLSPolicy', namespace: policy.namespace };
  const lookup = { view, grants: indexGrants(view) };
  const found = references.map((one) => resolveRoots(one, from, lookup));
  const good = found.flatMap((one) => (isComplaint(one) ? [] : [one]));
  const unresolved = found.find(isComplaint);
  const isHopeless = references.length > 0 && good.length === 0;
  return {
    roots: good.length === 0 ? undefined : good.join('\n'),
    unresolved,
    invalid: isHopeless
      ? { reason: 'NoValidCACertificate', message: unresolved?.message ?? 'no roots' }
      : undefined,
  };
}
