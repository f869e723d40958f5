import { create } from '@bufbuild/protobuf';
import type {
  SessionState,
  StatefulSession,
  StatefulSessionConfig,
  StatefulSessionRouteConfig,
} from '../model/stateful-session.js';
import { packAny } from '../proto/any.js';
import {
  statefulSessionCookie as cookie,
  core,
  httpStatefulSession as filter,
  statefulSessionHeader as header,
  typeHttp,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { decodeDuration, encodeDuration } from './duration.js';
import { extensionConfig } from './extension.js';
import { onlyFields } from './field-guard.js';
import { headerName } from './header-mutation.js';
import { at, type Path, refuse, required } from './path.js';

const configFields = onlyFields(() => filter.StatefulSessionSchema, {
  enforced: ['session_state', 'strict'],
});
const routeFields = onlyFields(() => filter.StatefulSessionPerRouteSchema, {
  enforced: ['disabled', 'stateful_session'],
});
const extensionFields = onlyFields(() => core.TypedExtensionConfigSchema, {
  enforced: ['typed_config'],
  ignored: ['name'],
});
const cookieStateFields = onlyFields(() => cookie.CookieBasedSessionStateSchema, { enforced: ['cookie'] });
const cookieFields = onlyFields(() => typeHttp.CookieSchema, {
  enforced: ['name', 'ttl', 'path', 'attributes'],
});
const attributeFields = onlyFields(() => typeHttp.CookieAttributeSchema, { enforced: ['name', 'value'] });
const headerStateFields = onlyFields(() => header.HeaderBasedSessionStateSchema, { enforced: ['name'] });

/** The stateful session filter's configuration. */
export function decodeStatefulSession(message: filter.StatefulSession, path: Path): StatefulSessionConfig {
  return { kind: 'stateful-session', ...decodeSession(message, path) };
}

/** Its configuration for a route. */
export function decodeStatefulSessionRoute(
  message: filter.StatefulSessionPerRoute,
  path: Path,
): StatefulSessionRouteConfig {
  routeFields(message, path);
  const { override } = message;
  switch (override.case) {
    case 'disabled':
      if (!override.value) refuse(at(path, 'disabled'), 'must be true');
      return { kind: 'stateful-session-route', session: undefined };
    case 'statefulSession':
      return {
        kind: 'stateful-session-route',
        session: decodeSession(override.value, at(path, 'stateful_session')),
      };
    default:
      return refuse(path, 'needs disabled or stateful_session');
  }
}

function decodeSession(message: filter.StatefulSession, path: Path): StatefulSession {
  configFields(message, path);
  const { sessionState, strict } = message;
  return { state: sessionState && decodeState(sessionState, at(path, 'session_state')), strict };
}

function decodeState(extension: core.TypedExtensionConfig, path: Path): SessionState {
  extensionFields(extension, path);
  const any = required(extension.typedConfig, at(path, 'typed_config'));
  const cookieState = decodeAny(cookie.CookieBasedSessionStateSchema, any, at(path, 'typed_config'));
  if (cookieState !== undefined) {
    cookieStateFields(cookieState, at(path, 'typed_config'));
    const cookiePath = at(at(path, 'typed_config'), 'cookie');
    return decodeCookie(required(cookieState.cookie, cookiePath), cookiePath);
  }
  const headerState = decodeAny(header.HeaderBasedSessionStateSchema, any, at(path, 'typed_config'));
  if (headerState === undefined) {
    return refuse(
      at(path, 'typed_config'),
      `the session state ${JSON.stringify(any.typeUrl)} is not supported`,
    );
  }
  headerStateFields(headerState, at(path, 'typed_config'));
  return { kind: 'header', name: headerName(headerState.name, at(at(path, 'typed_config'), 'name')) };
}

function decodeCookie(message: typeHttp.Cookie, path: Path): SessionState {
  cookieFields(message, path);
  return {
    kind: 'cookie',
    name: cookieToken(message.name, at(path, 'name')),
    // Envoy reads the seconds of the duration and no fraction.
    ttlSeconds:
      message.ttl === undefined ? 0 : Math.floor(decodeDuration(message.ttl, at(path, 'ttl')) / 1000),
    path: cookieText(message.path, at(path, 'path')),
    attributes: message.attributes.map((attribute, index) => {
      const place = at(path, 'attributes', index);
      attributeFields(attribute, place);
      return {
        name: cookieToken(attribute.name, at(place, 'name')),
        value: cookieText(attribute.value, at(place, 'value')),
      };
    }),
  };
}

function cookieToken(text: string, path: Path): string {
  if (text === '') refuse(path, 'must not be empty');
  return /[=\s]/.test(text) ? refuse(path, `${JSON.stringify(text)} is no name`) : cookieText(text, path);
}

/** What would end the cookie, or the header, early. */
function cookieText(text: string, path: Path): string {
  return /[\0\r\n;]/.test(text) ? refuse(path, `${JSON.stringify(text)} would break the cookie`) : text;
}

/** The stateful session filter's configuration as a message. */
export function encodeStatefulSession(config: StatefulSessionConfig): filter.StatefulSession {
  return encodeSession(config);
}

/** Its configuration for a route as a message. */
export function encodeStatefulSessionRoute({
  session,
}: StatefulSessionRouteConfig): filter.StatefulSessionPerRoute {
  return create(filter.StatefulSessionPerRouteSchema, {
    override:
      session === undefined
        ? { case: 'disabled', value: true }
        : { case: 'statefulSession', value: encodeSession(session) },
  });
}

function encodeSession({ state, strict }: StatefulSession): filter.StatefulSession {
  const message = create(filter.StatefulSessionSchema, { strict });
  if (state !== undefined) message.sessionState = encodeState(state);
  return message;
}

function encodeState(state: SessionState): core.TypedExtensionConfig {
  if (state.kind === 'header') {
    const message = create(header.HeaderBasedSessionStateSchema, { name: state.name });
    const any = packAny(header.HeaderBasedSessionStateSchema, message);
    return extensionConfig('envoy.http.stateful_session.header', any);
  }
  const { name, path, ttlSeconds, attributes } = state;
  const message = create(cookie.CookieBasedSessionStateSchema, {
    cookie: { name, path, ttl: encodeDuration(ttlSeconds * 1000), attributes: [...attributes] },
  });
  const any = packAny(cookie.CookieBasedSessionStateSchema, message);
  return extensionConfig('envoy.http.stateful_session.cookie', any);
}
