import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMeshConfig } from '../../../src/control-plane/mesh/mesh-config.js';
import {
  type AuthorizationCheck,
  checkAuthorization,
} from '../../../src/control-plane/policy/authorization-check.js';
import type { CheckedRequest } from '../../../src/control-plane/policy/checked-request.js';
import { registryOf, service, viewOf } from '../../unit/control-plane/compile/mesh.js';
import { createIssuer, type Issuer, NOW_SECONDS, setOf, sign } from '../../unit/filters/jwt-fixtures.js';
import { jwtRule, policies, request } from './authorization-arbitraries.js';
import { LiveWorkload } from './live-authorization.js';

const CONFIG = createMeshConfig({
  trustDomain: 'cluster.local',
  trustDomainAliases: ['old.example'],
  severalAuthorizationProviders: true,
  extensionProviders: [
    { name: 'over-grpc', envoyExtAuthzGrpc: { service: 'over-grpc.shop.svc.cluster.local', port: 80 } },
    { name: 'over-http', envoyExtAuthzHttp: { service: 'over-http.shop.svc.cluster.local', port: 80 } },
  ],
});
const PROVIDERS = service('over-grpc', 80, 'shop') + service('over-http', 80, 'shop');
const NOBODY = registryOf([]);
const TARGET = { namespace: 'shop', labels: { version: 'v1' }, service: 'cart' };

/** What was checked, in the words of what happens. */
function told({ decision }: AuthorizationCheck) {
  const steps = decision?.steps ?? [];
  const denying = steps.find(({ result }) => result === 'denied');
  return {
    verdict: decision?.verdict,
    by: denying && (denying.rule ?? 'none'),
    audited: steps.flatMap(({ result, rule }) => (result === 'recorded' ? [rule] : [])),
  };
}

test('what is told of a request is what becomes of it', async () => {
  const issuer = await createIssuer();
  const requests = fc.array(request, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(policies, jwtRule, requests, async (documents, rule, drawn) => {
      const tokens = {
        apiVersion: 'security.istio.io/v1',
        kind: 'RequestAuthentication',
        metadata: { name: 'tokens', namespace: 'shop' },
        spec: { jwtRules: [{ issuer: 'https://a.example', jwks: setOf(issuer.jwk), ...rule }] },
      };
      const texts = [...documents, tokens].map((one) => JSON.stringify(one));
      const view = viewOf(`${texts.join('\n---\n')}\n${PROVIDERS}`);
      const live = new LiveWorkload(view, CONFIG);
      for (const one of drawn) {
        const asked = await withToken(one, rule, issuer);
        const checked = checkAuthorization(
          { view, registry: NOBODY, config: CONFIG },
          { ...TARGET, request: asked },
        );
        expect(told(checked)).toEqual(await live.decide(asked));
      }
    }),
    { numRuns: 60 },
  );
});

/** The same with a token of its claims, where a rule looks for it and nothing else stands. */
async function withToken(
  drawn: CheckedRequest,
  { fromHeaders }: { readonly fromHeaders?: readonly { readonly name: string }[] },
  issuer: Issuer,
): Promise<CheckedRequest> {
  if (drawn.protocol === 'tcp' || drawn.claims === undefined) return drawn;
  const token = await sign(issuer, { exp: NOW_SECONDS * 2, ...drawn.claims });
  const name = fromHeaders?.[0]?.name;
  const line =
    name === undefined ? (['authorization', `Bearer ${token}`] as const) : ([name, token] as const);
  const others = (drawn.headers ?? []).filter(([other]) => other.toLowerCase() !== line[0].toLowerCase());
  return { ...drawn, headers: [...others, line] };
}
