import { describe, expect, test } from 'vitest';
import { workloadTarget } from '../../../src/identity/workload-api/endpoint.js';

describe('the address of a Workload API', () => {
  test.each([
    ['unix:///run/agent.sock', 'unix:/run/agent.sock'],
    ['unix:/run/agent.sock', 'unix:/run/agent.sock'],
    ['unix:///run/a%20b.sock', 'unix:/run/a b.sock'],
    ['tcp://127.0.0.1:8081', 'ipv4:127.0.0.1:8081'],
    ['tcp://[::1]:8081', 'ipv6:[::1]:8081'],
  ])('%s is %s', (endpoint, target) => {
    expect(workloadTarget(endpoint)).toBe(target);
  });

  test.each([
    '',
    '/run/agent.sock',
    'unix://run/agent.sock',
    'unix:run/agent.sock',
    'unix://',
    'unix:///run/agent.sock?a=b',
    'unix:///run/agent.sock#a',
    'unix:///run/agent.sock#',
    'unix:///run/%zz.sock',
    'tcp://localhost:8081',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:8081/',
    'tcp://127.0.0.1:8081/foo',
    'tcp://user@127.0.0.1:8081',
    'http://127.0.0.1:8081',
  ])('%j is refused', (endpoint) => {
    expect(() => workloadTarget(endpoint)).toThrow('INMESH_OPTION_INVALID');
  });
});
