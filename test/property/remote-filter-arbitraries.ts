import * as fc from 'fast-check';
import type {
  SessionState,
  StatefulSession,
  StatefulSessionConfig,
  StatefulSessionRouteConfig,
} from '../../src/model/stateful-session.js';

/** Filters that remember hosts or ask a service, as the codec can carry them. */

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const few = <T>(arbitrary: fc.Arbitrary<T>, minLength = 0): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength, maxLength: 3 });

const sessionState = (): fc.Arbitrary<SessionState> =>
  fc.oneof(
    fc.record({
      kind: fc.constant('cookie' as const),
      name: fc.constantFrom('session', '__Host-id', 'constructor'),
      ttlSeconds: fc.nat(1_000_000),
      path: fc.constantFrom('', '/', '/a/', '/a'),
      attributes: few(
        fc.record({ name: fc.constantFrom('SameSite', 'Secure'), value: fc.constantFrom('', 'Strict') }),
      ),
    }),
    fc.record({ kind: fc.constant('header' as const), name: fc.constantFrom('x-host', 'constructor') }),
  );

const session = (): fc.Arbitrary<StatefulSession> =>
  fc.record({ state: maybe(sessionState()), strict: fc.boolean() });

/** StatefulSession. */
export const statefulSessionConfig = (): fc.Arbitrary<StatefulSessionConfig> =>
  session().map((one) => ({ kind: 'stateful-session', ...one }));

/** StatefulSessionPerRoute. */
export const statefulSessionRouteConfig = (): fc.Arbitrary<StatefulSessionRouteConfig> =>
  fc.record({ kind: fc.constant('stateful-session-route' as const), session: maybe(session()) });
