import { isIP } from 'node:net';

const LABEL = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
const WILDCARD_LABEL = /^(?:\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)$/;
const LABEL_PREFIX = /^[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?$/;
const LABEL_NAME = /^[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/;
const MAX_NAME_LENGTH = 255;
const MAX_PREFIX_LENGTH = 253;

/** Whether the text is a label of RFC 1123: letters, digits and inner hyphens, at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/**
 * Whether the text is a name of labels with dots between them; one label is enough (Istio: ValidateFQDN). No top level
 * domain is a number, so that no name looks like an address.
 */
export function isDnsName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && areDnsLabels(text);
}

/** Whether the text is a DNS name whose first label may be a wildcard: `*`, `*.b.c`, `*-a.b.c` (Istio: ValidateWildcardDomain). */
export function isWildcardDnsName(text: string): boolean {
  if (text.length > MAX_NAME_LENGTH) return false;
  const dot = text.indexOf('.');
  const first = dot < 0 ? text : text.slice(0, dot);
  return WILDCARD_LABEL.test(first) && (dot < 0 || areDnsLabels(text.slice(dot + 1)));
}

/** Whether a wildcard stands for a part of a label only (`*a.b.c`). */
export function isPartialWildcard(host: string): boolean {
  return host.includes('*') && host !== '*' && !host.startsWith('*.');
}

function areDnsLabels(text: string): boolean {
  const labels = text.split('.');
  const last = labels.at(-1) ?? '';
  if (/^[-+]?\d+$/.test(last)) return false;
  // `example.com.` is the name from the root on.
  return labels.every(
    (label, index) => isDnsLabel(label) || (label === '' && index === labels.length - 1 && index > 0),
  );
}

/** Whether the text is an IPv4 or IPv6 address. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0;
}

/** Whether the text is an address, or an address with a prefix length. */
export function isSubnet(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return isIpAddress(text);
  const version = isIP(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  return version !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}

/** Whether the number is a port from 1 to 65535. */
export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** Whether the text is the key of a Kubernetes label. */
export function isLabelKey(text: string): boolean {
  const slash = text.indexOf('/');
  const prefix = text.slice(0, Math.max(0, slash));
  const hasPrefix = slash < 0 || (prefix.length <= MAX_PREFIX_LENGTH && LABEL_PREFIX.test(prefix));
  return hasPrefix && LABEL_NAME.test(text.slice(slash + 1));
}

/** Whether the text is the value of a Kubernetes label. */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}

/** Where mesh-wide documents stand unless MeshConfig says otherwise. */
export const ROOT_NAMESPACE = 'istio-system';
