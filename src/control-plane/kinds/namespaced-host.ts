import { isDnsLabel, isIpAddress, isPartialWildcard, isWildcardDnsName } from './names.js';
import type { Report } from './report.js';
import type { FieldPath } from './view.js';

/** Whose hosts they are, and whether they were made of a Gateway of the Gateway API. */
export interface HostRules {
  readonly isGateway: boolean;
  readonly isGenerated?: boolean;
}

/** `namespace/host` (Istio: ValidateNamespaceSlashWildcardHostname); gateways may leave out the namespace. */
export function checkNamespacedHost(
  host: string,
  { isGateway, isGenerated = false }: HostRules,
  path: FieldPath,
  report: Report,
): void {
  const shown = JSON.stringify(host);
  const slash = host.indexOf('/');
  if (slash < 0) {
    if (isGateway) checkName(host, isGateway, path, report);
    else report.invalid(path, `${shown} must be namespace/host, such as ./* or */reviews.example.com`);
    return;
  }
  const [namespace, name] = [host.slice(0, slash), host.slice(slash + 1)];
  if (namespace === '' || name === '') {
    report.invalid(path, `${shown} needs a namespace and a host`);
    return;
  }
  const isNobody = namespace === '~' && (!isGateway || isGenerated);
  if (namespace !== '*' && namespace !== '.' && !isNobody && !isDnsLabel(namespace)) {
    report.invalid(path, `${JSON.stringify(namespace)} of ${shown} is not a namespace`);
  }
  checkName(name, isGateway, path, report);
}

function checkName(name: string, isGateway: boolean, path: FieldPath, report: Report): void {
  if (isGateway && isIpAddress(name)) return;
  const shown = JSON.stringify(name);
  if (!isWildcardDnsName(name)) report.invalid(path, `${shown} is not a host`);
  else if (isPartialWildcard(name)) {
    report.invalid(path, `the wildcard of ${shown} must be a whole label, as in *.example.com`);
  } else if (name !== '*' && !name.includes('.')) {
    report.invalid(path, `the short name ${shown} is not allowed here: write the full host name`);
  }
}
