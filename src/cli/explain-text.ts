import type { RequestExplanation } from '../control-plane.js';

/** One line: what it tells, and the text; an empty one is left out. */
type Line = readonly [string, string | null | undefined];

/** An explanation for people, one fact per line. */
export function explanationText(explained: RequestExplanation, isWide: boolean): string {
  const { request, from } = explained;
  const lines = [...whereOf(explained), ...whatOf(explained), ...whoOf(explained)];
  if (isWide) lines.push(...detailsOf(explained));
  const shown = lines
    .filter(([, text]) => text !== null && text !== undefined && text !== '')
    .map(([title, text]) => `  ${title.padEnd(10)} ${text}`);
  const head = `${`${request.method} `.trimStart()}${request.scheme}://${request.authority}${request.path}   from ${from.namespace}`;
  return `${[head, ...shown].join('\n')}\n`;
}

function whereOf({
  outcome,
  reason,
  listener,
  virtualHost,
  route,
  ...rest
}: RequestExplanation): readonly Line[] {
  return [
    ['outcome', `${outcome}: ${reason}`],
    ['listener', listener],
    ['host', virtualHost],
    ['route', route && `${route.name || route.index} ${JSON.stringify(route.match)}`],
    ...rest.documents.map(
      ({ kind, namespace, name, file, line }): Line => [
        'document',
        `${kind} ${namespace}/${name} (${line === 0 ? file : `${file}:${line}`})`,
      ],
    ),
    ...rest.clusters.map(({ name, share }): Line => {
      const mark = rest.clusters.length > 1 && name === rest.cluster ? '  <- chosen' : '';
      return ['cluster', `${share}% ${name}${mark}`];
    }),
  ];
}

function whatOf({ rewritten, response, mirrors, ...rest }: RequestExplanation): readonly Line[] {
  return [
    ...(rewritten?.changes ?? []).map((change): Line => ['changed', change]),
    ['answer', response && `${response.status} ${response.location ?? response.body ?? ''}`.trimEnd()],
    ['limits', limitsOf(rest)],
    ...mirrors.map(({ cluster, percent }): Line => ['mirror', `${percent}% ${cluster}`]),
  ];
}

function whoOf({ policy, endpoints }: RequestExplanation): readonly Line[] {
  return [
    ...(policy?.server ?? []).map(({ namespace, mtls, authorization, policies }): Line => {
      const by = policies.length > 0 ? ` by ${policies.join(', ')}` : '';
      return ['server', `${namespace}: mTLS ${mtls}, ${authorization}${by}`];
    }),
    ...endpoints.map((one): Line => {
      const { address, port, sharePercent, health, tls, priority, locality } = one;
      const text = `${address}:${port} ${sharePercent}% ${health}, TLS ${tls}, priority ${priority} ${locality}`;
      return ['endpoint', text.trimEnd()];
    }),
  ];
}

function detailsOf({ filters, policy }: RequestExplanation): readonly Line[] {
  return [
    ...filters.map(({ name, config }): Line => ['filter', `${name} ${JSON.stringify(config)}`]),
    ['balancer', policy && JSON.stringify(policy.loadBalancer)],
    ['breakers', policy && JSON.stringify(policy.circuitBreakers)],
    ['outliers', policy && JSON.stringify(policy.outlierDetection)],
  ];
}

function limitsOf({
  timeouts,
  retries,
}: Pick<RequestExplanation, 'timeouts' | 'retries'>): string | undefined {
  if (timeouts === null) return undefined;
  const timeout = timeouts.requestMs === 0 ? 'no timeout' : `timeout ${timeouts.requestMs} ms`;
  const tries =
    retries === null || retries.numRetries === 0
      ? 'no retries'
      : `${retries.numRetries} retries on ${retries.retryOn.join(',')}`;
  return `${timeout}, ${tries}`;
}
