import { maskIp, parseIp } from '../../runtime/ip.js';
import type {
  PolicyAccount,
  PolicyConnection,
  PolicyMatch,
  PolicyRange,
  PolicyText,
  WorkloadPolicy,
} from './workload-policy.js';

/**
 * The policy that refuses a connection, `'default'` when there are ALLOW policies and none of them lets it in, or
 * undefined when it is let in. DENY goes before ALLOW (Istio).
 */
export function refusedBy(
  policies: readonly WorkloadPolicy[],
  connection: PolicyConnection,
): WorkloadPolicy | 'default' | undefined {
  const denying = policies.find((one) => one.action === 'DENY' && applies(one, connection));
  if (denying !== undefined) return denying;
  const allowing = policies.filter(({ action }) => action === 'ALLOW');
  if (allowing.length === 0 || allowing.some((one) => applies(one, connection))) return undefined;
  return 'default';
}

function applies({ groups }: WorkloadPolicy, connection: PolicyConnection): boolean {
  return groups.some(({ rules }) =>
    rules.every(({ matches }) => matches.some((match) => holds(match, connection))),
  );
}

function holds(match: PolicyMatch, connection: PolicyConnection): boolean {
  const { principal, sourceIp, destinationIp, destinationPort } = connection;
  const account = accountOf(principal);
  const text = (value: string | undefined) => (one: PolicyText) => matchesText(one, value);
  const range = (ip: string) => (one: PolicyRange) => contains(one, ip);
  const isAccount = (one: PolicyAccount) =>
    one.namespace === account?.namespace && one.serviceAccount === account.serviceAccount;
  const isPort = (port: number) => port === destinationPort;
  return (
    asks(match.namespaces, match.notNamespaces, text(account?.namespace)) &&
    asks(match.serviceAccounts, match.notServiceAccounts, isAccount) &&
    asks(match.principals, match.notPrincipals, text(principal)) &&
    asks(match.sourceIps, match.notSourceIps, range(sourceIp)) &&
    asks(match.destinationIps, match.notDestinationIps, range(destinationIp)) &&
    asks(match.destinationPorts, match.notDestinationPorts, isPort)
  );
}

function asks<T>(wanted: readonly T[] = [], unwanted: readonly T[] = [], test: (one: T) => boolean): boolean {
  return (wanted.length === 0 || wanted.some(test)) && !unwanted.some(test);
}

function matchesText(text: PolicyText, value: string | undefined): boolean {
  if (value === undefined || value === '') return false;
  switch (text.kind) {
    case 'exact':
      return value === text.value;
    case 'prefix':
      return value.startsWith(text.value);
    case 'suffix':
      return value.endsWith(text.value);
    case 'presence':
      return true;
  }
}

function contains({ address, bits }: PolicyRange, ip: string): boolean {
  const [own, given] = [parseIp(address), parseIp(ip)];
  if (own === undefined || given === undefined || own.length !== given.length) return false;
  return Buffer.compare(maskIp(own, bits), maskIp(given, bits)) === 0;
}

const ISTIO_ID = /\/ns\/([^/]+)\/sa\/([^/]+)$/;

function accountOf(principal: string | undefined): PolicyAccount | undefined {
  const [, namespace, serviceAccount] = ISTIO_ID.exec(principal ?? '') ?? [];
  if (namespace === undefined || serviceAccount === undefined) return undefined;
  return { namespace, serviceAccount };
}
