import { describe, expect, test } from 'vitest';
import { withinCpuMs } from '../../../vectors/cpu-time.js';
import { complaintsAbout, newStore, routeWith, ruleWith } from '../load.js';

/** The messages about a VirtualService with these lines in its route, without their places. */
function about(...lines: readonly string[]): readonly string[] {
  return complaintsAbout(routeWith(...lines), { allowUnsupported: true }).map((line) =>
    line.replace(/^\S+ \w+ \S+ /, ''),
  );
}

describe('a VirtualService is refused for', () => {
  test.each([
    [['retries: {attempts: 0, retryOn: 5xx}'], 'retries are off (attempts is 0), but retryOn is set'],
    [['retries: {attempts: 2, retryOn: "5xx,never"}'], '"never" is not a condition for retries'],
    [
      ['retries: {attempts: 2, perTryTimeout: 100us}'],
      'perTryTimeout must be at least 1ms, and no finer than a millisecond',
    ],
    [['fault: {}'], 'a fault needs delay or abort'],
    [['fault: {abort: {percentage: {value: 101}, httpStatus: 500}}'], 'value must be at most 100, not 101'],
    [['fault: {abort: {httpStatus: 42}}'], 'httpStatus must be at least 200, not 42'],
    [['fault: {abort: {grpcStatus: "14"}}'], '"14" is not a status of gRPC, such as UNAVAILABLE'],
    [['redirect: {uri: /}'], 'an HTTP route cannot have both route and redirect'],
    [['match: [{uri: {prefix: /a, exact: /b}}]'], 'uri must have one of exact, prefix and regex'],
    [['match: [{method: {prefix: ""}}]'], 'the prefix must not be empty'],
    [['match: [{headers: {"bad name": {exact: x}}}]'], '"bad name" is not the name of a header'],
    [['match: [{gateways: ["*/x"]}]'], '"*/x" is not the name of a gateway'],
    [['match: [{port: 0}]'], 'port must be a port from 1 to 65535'],
    [['timeout: 0s'], 'timeout must be at least 1ms, and no finer than a millisecond'],
    [['headers: {request: {set: {x: "a\\nb"}}}'], 'the value of a header must be one line'],
    [['mirror: {host: "*"}'], '"*" is not the host of a service'],
  ])('%j', (lines, message) => {
    expect(about(...lines)).toEqual([message]);
  });

  test('a regular expression that RE2 refuses', () => {
    expect(about('match: [{uri: {regex: "(?=x)"}}]')[0]).toMatch(/is no regular expression of RE2/);
  });

  test('weights that are all 0', () => {
    expect(complaintsAbout(routeWith('- destination: {host: b}'))[0]).toMatch(
      /the weights of several destinations must not all be 0/,
    );
  });
});

describe('hosts', () => {
  const withHosts = (hosts: string) =>
    complaintsAbout(routeWith().replace('hosts: [reviews]', `hosts: [${hosts}]`)).map((line) =>
      line.replace(/ .*/, ''),
    );

  test('the wildcard of everything is for gateways only', () => {
    expect(withHosts('"*"')).toEqual(['6:11']);
  });

  test('a host that another one covers is refused, where it stands', () => {
    expect(withHosts('a.example.com, "*.example.com"')).toEqual(['6:11']);
    expect(withHosts('reviews, reviews')).toEqual(['6:20']);
    expect(withHosts('"*.example.com", "*.com"')).toEqual(['6:11']);
    expect(withHosts('example.com, "*.example.com"')).toEqual([]);
  });

  test('ten thousand of them are checked in no time', async () => {
    const hosts = Array.from({ length: 10_000 }, (_, index) => `h${index}.example.com`).join(', ');
    expect(await withinCpuMs(2000, () => withHosts(hosts))).toEqual([]);
  });
});

describe('references', () => {
  const subset = (host: string, name: string) =>
    routeWith().replace('        host: reviews', `        host: ${host}\n        subset: ${name}`);

  test('a subset may be defined in any file, by any name of its host', () => {
    const store = newStore();
    const rule = ruleWith('subsets: [{name: v1}]').replace(
      'host: reviews',
      'host: reviews.default.svc.cluster.local',
    );
    const result = store.propose('files', {
      files: [
        { file: 'a.yaml', content: subset('reviews', 'v1') },
        { file: 'b.yaml', content: rule },
      ],
    });
    expect(result).toMatchObject({ accepted: true, violations: [] });
  });

  test('a subset of the same name of another host does not count', () => {
    const rule = ruleWith('subsets: [{name: v1}]').replace('host: reviews', 'host: ratings');
    expect(complaintsAbout(`${subset('reviews', 'v1')}---\n${rule}`)).toEqual([
      '11:17 error INMESH_CONFIG_REFERENCE subset "v1" of host "reviews" is not defined: the host has no DestinationRule',
    ]);
  });

  test('an undeclared host is a warning, once any service is declared', () => {
    const service = (name: string) => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\n`;
    expect(complaintsAbout(routeWith())).toEqual([]);
    expect(complaintsAbout(routeWith() + service('reviews'))).toEqual([]);
    expect(complaintsAbout(routeWith() + service('review'))).toEqual([
      '10:15 warning INMESH_CONFIG_REFERENCE no Service or ServiceEntry declares the host "reviews"; ' +
        'requests to it fail until a workload registers as it (did you mean "review"?)',
    ]);
  });
});

describe('fields that are checked but not carried out', () => {
  test.each([
    [
      'directResponse: {status: 200, body: {bytes: /w==}}',
      '11:49 error INMESH_CONFIG_UNSUPPORTED inmesh does not carry out bytes /w== of VirtualService: bodies of answers are texts in UTF-8',
    ],
  ])('%s is refused by its name', (line, complaint) => {
    expect(complaintsAbout(routeWith(line))).toContain(complaint);
  });

  test('a number that is not carried out is named', () => {
    const text = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: moved }
spec: { hosts: [moved], http: [{ redirect: { uri: /x, redirectCode: 305 } }] }
`;
    expect(complaintsAbout(text)).toEqual([
      expect.stringMatching(
        /^4:69 .* carry out redirectCode 305 of VirtualService: Envoy redirects with 301/,
      ),
    ]);
  });

  test('a VirtualService for gateways alone is accepted with a warning, whatever it holds', () => {
    const text = routeWith('rewrite: {uri: /x}').replace(
      'hosts: [reviews]',
      'hosts: ["*"]\n  gateways: [edge]',
    );
    expect(complaintsAbout(text)).toEqual([
      '7:13 warning INMESH_CONFIG_UNSUPPORTED a VirtualService for gateways only has an effect on Envoys only: no process of inmesh is a gateway',
    ]);
  });

  test('a kind that is known elsewhere is told apart from a mistyped one', () => {
    expect(complaintsAbout('kind: UDPRoute')[0]).toMatch(/^1:7 error INMESH_CONFIG_UNSUPPORTED/);
    expect(complaintsAbout('kind: VirtualServise')[0]).toMatch(
      /INMESH_CONFIG_UNKNOWN_KIND .*"VirtualService"\?\)$/,
    );
  });
});

test('a parsed route has its durations in milliseconds', () => {
  const store = newStore();
  const text = routeWith(
    'timeout: 1h1.001s',
    'retries: {attempts: 2, perTryTimeout: 250ms}',
    'fault: {delay: {fixedDelay: 7s}}',
  );
  store.propose('files', { files: [{ file: 'mesh.yaml', content: text }] });
  const route = store.current.value.get('VirtualService', 'default', 'reviews')?.spec.http?.[0];
  expect(route?.timeout).toBe(3_601_001);
  expect(route?.retries?.perTryTimeout).toBe(250);
  expect(route?.fault?.delay?.fixedDelay).toBe(7000);
});
