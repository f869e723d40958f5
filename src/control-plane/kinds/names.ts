import { isIP } from 'node:net';

const LABEL = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/;
const WILDCARD_LABEL = /^(?:\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)$/;
const QUALIFIED_NAME =
  /^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/;
const MAX_NAME_LENGTH = 253;

/** Whether the text is a label of RFC 1123: letters, digits and inner hyphens, at most 63 characters. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether the text is a name of labels with dots between them; one label is enough. */
export function isDnsName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && withoutRootDot(text).split('.').every(isDnsLabel);
}

/** Whether the text is a DNS name whose first label may be a wildcard (`*`, `*.example.com`). */
export function isWildcardDnsName(text: string): boolean {
  if (text.length > MAX_NAME_LENGTH) return false;
  const [first = '', ...rest] = withoutRootDot(text).split('.');
  return WILDCARD_LABEL.test(first) && rest.every(isDnsLabel);
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
  return QUALIFIED_NAME.test(text);
}

/** Whether the text is the value of a Kubernetes label. */
export function isLabelValue(text: string): boolean {
  return LABEL_VALUE.test(text);
}

function withoutRootDot(text: string): string {
  return text.endsWith('.') && text.length > 1 ? text.slice(0, -1) : text;
}

/** Where mesh-wide documents stand unless MeshConfig says otherwise. */
export const ROOT_NAMESPACE = 'istio-system';
