import { describe, expect } from 'vitest';
import { explainIn } from '../../src/control-plane/explain/explain-in.js';
import type { RequestExplanation } from '../../src/control-plane/explain/explanation.js';
import { DEFAULT_MESH_CONFIG } from '../../src/control-plane/mesh/mesh-config.js';
import { type GatewayApiStatus, statusOf } from '../../src/control-plane/gateway-api/status.js';
import { snapshotOf } from '../../src/control-plane/registry/snapshot.js';
import { createConfigStore } from '../../src/control-plane/store/config-store.js';
import type { ConfigView } from '../../src/control-plane/kinds/view.js';
import { systemClock } from '../../src/runtime/clock.js';
import { silentLogger } from '../../src/runtime/log.js';
import { vectorJson, vectorSuite, vectorText } from './score.js';

// The conformance tests of the Gateway API: what a request becomes by the compiled result, and what objects say of it.

interface ExpectedRequest {
  readonly Host?: string;
  readonly Method?: string;
  readonly Path?: string | object;
  readonly Headers?: Readonly<Record<string, string>>;
}

interface Expectation {
  readonly proto: 'http' | 'grpc';
  readonly request?: ExpectedRequest;
  readonly requestMetadata?: { readonly Authority?: string };
  readonly echoRequest?: object;
  readonly echoTwoRequest?: object;
  readonly response?: { readonly StatusCode?: number; readonly StatusCodes?: readonly number[] } | object;
  readonly redirectRequest?: { readonly Host?: string; readonly Path?: string; readonly Port?: string };
  readonly expectedRequest?: {
    readonly Request?: ExpectedRequest;
    readonly AbsentHeaders?: readonly string[];
  };
  readonly backend?: string;
}

interface Case {
  readonly test: string;
  readonly manifests: readonly string[];
  readonly gateway: string | null;
  readonly expectations: readonly Expectation[];
}

const folder = 'gateway-api/';
const file = `${folder}expectations.json`;
// The file has this form.
const { tests } = (vectorJson(file) ?? { tests: [] }) as { readonly tests: readonly Case[] };

function viewOf({ manifests, gateway }: Case): ConfigView {
  const base = gateway === null ? 'mesh' : 'base';
  const texts = [`${base}/manifests.yaml`, ...manifests].map((name) => vectorText(`${folder}${name}`));
  const store = createConfigStore({ clock: systemClock, logger: silentLogger });
  const files = texts.map((content, index) => ({ file: `${index}.yaml`, content }));
  const result = store.propose('vector', { files });
  if (!result.accepted) throw new Error(result.violations.map(({ message }) => message).join('\n'));
  return store.current.value;
}

/** For what the conformance suite computes: one of the paths that each test uses. */
const PATHS: Readonly<Record<string, string>> = {
  HTTPRouteRetry: '/retry/code-500-attempts-3',
  BackendTLSPolicyInvalidCACertificateRef: '/backendtlspolicy-nonexistent-ca-certificate-ref',
};

function urlOf({ request, requestMetadata, echoTwoRequest }: Expectation, { gateway, test: name }: Case): string {
  const path =
    request === undefined
      ? `/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/${echoTwoRequest === undefined ? 'Echo' : 'EchoTwo'}`
      : request.Path;
  const host = request?.Host ?? requestMetadata?.Authority ?? (gateway === null ? 'echo' : '192.0.2.1');
  return `http://${host}${typeof path === 'string' ? path : PATHS[name]}`;
}

function explainCase(one: Expectation, from: Case, view: ConfigView): Promise<RequestExplanation> {
  const { gateway } = from;
  return explainIn(
    { view, registry: snapshotOf([]), config: DEFAULT_MESH_CONFIG },
    {
      method: one.request?.Method ?? (one.proto === 'grpc' ? 'POST' : 'GET'),
      url: urlOf(one, from),
      headers: Object.entries(one.request?.Headers ?? {}),
      ...(gateway === null
        ? { from: 'gateway-conformance-mesh/echo-v1' }
        : { gateway: `gateway-conformance-infra/${gateway}` }),
    },
  );
}

/** The Deployments whose pods a cluster leads to. */
function podsOf(cluster: string, view: ConfigView): readonly string[] {
  const [name = '', namespace = ''] = (cluster.split('|')[3] ?? '').split('.');
  const selector = Object.entries(view.get('Service', namespace, name)?.spec.selector ?? {});
  return view
    .list('Deployment')
    .filter((one) => one.namespace === namespace)
    .filter(({ spec }) => selector.every(([key, value]) => spec.template.metadata?.labels?.[key] === value))
    .map((one) => one.name);
}

function check(found: RequestExplanation, one: Expectation, view: ConfigView): void {
  const { StatusCode, StatusCodes } = (one.response ?? {}) as {
    readonly StatusCode?: number;
    readonly StatusCodes?: readonly number[];
  };
  const answered = found.response?.status ?? (found.outcome === 'forwarded' ? 200 : 404);
  if (StatusCodes !== undefined) {
    // A cluster without endpoints answers 503.
    expect(StatusCodes).toContain(found.endpoints.length === 0 && answered === 200 ? 503 : answered);
    return;
  }
  expect(answered, found.reason).toBe(StatusCode ?? 200);
  if (one.redirectRequest !== undefined) checkRedirect(found, one);
  else if (answered === 200 && one.backend !== undefined) {
    expect(podsOf(found.cluster ?? '', view)).toEqual([one.backend]);
    checkRequest(found, one);
  }
}

function checkRedirect({ response, request }: RequestExplanation, { redirectRequest = {} }: Expectation): void {
  const location = new URL(response?.location ?? '');
  const { Host, Path, Port = '' } = redirectRequest;
  expect(location.hostname).toBe(Host ?? request.authority);
  expect(location.port).toBe(Port);
  if (Path !== undefined) expect(location.pathname).toBe(Path);
}

function checkRequest({ rewritten }: RequestExplanation, { request, expectedRequest }: Expectation): void {
  const wanted = expectedRequest?.Request ?? request;
  const valueOf = (wantedName: string) => {
    const values = (rewritten?.headers ?? []).filter(([name]) => name === wantedName.toLowerCase());
    return values.length === 0 ? undefined : values.map(([, value]) => value).join(',');
  };
  if (typeof wanted?.Path === 'string') expect(rewritten?.path).toBe(wanted.Path);
  for (const [name, value] of Object.entries(wanted?.Headers ?? {})) expect(valueOf(name), name).toBe(value);
  for (const name of expectedRequest?.AbsentHeaders ?? []) expect(valueOf(name), name).toBeUndefined();
}

/** Conditions that the tests wait for before they send anything, which the expectations do not hold. */
const CONDITIONS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  HTTPRouteInvalidParentRefNotMatchingSectionName: [
    ['HTTPRoute/httproute-listener-not-matching-section-name', 'Accepted=False/NoMatchingParent'],
  ],
  HTTPRouteInvalidReferenceGrant: [
    ['HTTPRoute/reference-grant', 'ResolvedRefs=False/RefNotPermitted'],
    ['HTTPRoute/reference-grant', 'Accepted=True/Accepted'],
  ],
  HTTPRoutePartiallyInvalidViaInvalidReferenceGrant: [
    ['HTTPRoute/invalid-reference-grant', 'ResolvedRefs=False/RefNotPermitted'],
  ],
  BackendTLSPolicyInvalidCACertificateRef: [
    ['BackendTLSPolicy/nonexistent-ca-certificate-ref', 'Accepted=False/NoValidCACertificate'],
    ['BackendTLSPolicy/malformed-ca-certificate-ref', 'ResolvedRefs=False/InvalidCACertificateRef'],
  ],
  ListenerSetRouteStatusScopedToParentRef: [
    ['HTTPRoute/route-parentref-gwonly', 'Accepted=True/Accepted'],
    ['HTTPRoute/route-parentref-lsonly', 'Accepted=True/Accepted'],
    ['ListenerSet/listenerset-parentref', 'Accepted=True/Accepted'],
    ['ListenerSet/listenerset-parentref', 'Programmed=True/Programmed'],
    ['Gateway/gateway-parentref', 'Programmed=True/Programmed'],
  ],
};

function conditionsOf({ status }: GatewayApiStatus): readonly string[] {
  const lists = [status, ...(status.parents ?? []), ...(status.ancestors ?? [])];
  return lists.flatMap(({ conditions = [] }) => conditions.map((one) => `${one.type}=${one.status}/${one.reason}`));
}

function checkConditions(name: string, view: ConfigView): void {
  const all = statusOf(view);
  for (const [object, condition] of CONDITIONS[name] ?? []) {
    const found = all.find((one) => `${one.kind}/${one.name}` === object);
    expect(found && conditionsOf(found), object).toContain(condition);
  }
}

describe('gateway API', () => {
  vectorSuite({
    file,
    cases: tests,
    title: ({ test: name }) => name,
    run: async (one) => {
      const view = viewOf(one);
      checkConditions(one.test, view);
      for (const expectation of one.expectations) check(await explainCase(expectation, one, view), expectation, view);
    },
  });
});
