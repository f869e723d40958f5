import { inspect } from 'node:util';
import { Headers, Response } from 'undici';
import { expect } from 'vitest';
import { MeshError } from '../../../../src/runtime/errors.js';
import type { SeenRequest } from './origin.js';
import type { World, Worlds } from './world.js';

/** What a scenario does with a fetch; what it returns or throws is compared. */
export type Scenario = (world: World) => unknown;

/** All that can be seen of a scenario: its outcome and the requests that reached the server whole. */
export interface Observation {
  readonly outcome: unknown;
  readonly wire: readonly unknown[];
}

/**
 * Runs a scenario with undici's fetch and with the mesh's, inside and outside of the mesh, and expects the same of
 * each. Gives what undici's did, for tests that say what that is.
 */
export async function sameAsUndici(worlds: Worlds, scenario: Scenario): Promise<Observation> {
  const plain = await observe(worlds.plain, scenario);
  const mesh = await observe(worlds.mesh, scenario);
  const outside = await observe(worlds.outside, scenario);
  expect({ way: 'mesh', ...mesh }).toEqual({ way: 'mesh', ...plain });
  expect({ way: 'outside', ...outside }).toEqual({ way: 'outside', ...plain });
  return plain;
}

async function observe(world: World, scenario: Scenario): Promise<Observation> {
  world.origin.forget();
  let outcome: unknown;
  try {
    outcome = { value: await scenario(world) };
  } catch (error) {
    outcome = { error: describeError(error) };
  }
  return {
    outcome: neutral(outcome),
    wire: world.origin.seen.filter(({ complete }) => complete).map(describeRequest),
  };
}

/** All that a response shows before its body is read. */
export function describeResponse(response: Response): Record<string, unknown> {
  const { headers, body } = response;
  return {
    isResponse: Object.getPrototypeOf(response) === Response.prototype,
    isHeaders: Object.getPrototypeOf(headers) === Headers.prototype,
    ownKeys: Reflect.ownKeys(response).map(String),
    enumerable: enumerable(response),
    tag: Object.prototype.toString.call(response),
    type: response.type,
    url: response.url,
    status: response.status,
    ok: response.ok,
    statusText: response.statusText,
    redirected: response.redirected,
    bodyUsed: response.bodyUsed,
    body: body === null ? null : Object.prototype.toString.call(body),
    headers: [...headers],
    cookies: headers.getSetCookie(),
    sameHeaders: response.headers === headers,
    sameBody: response.body === body,
    immutable: immutability(headers),
    inspected: inspect(response),
  };
}

function enumerable(object: object): string[] {
  const names: string[] = [];
  for (const name in object) names.push(name);
  return names;
}

function immutability(headers: Headers): unknown[] {
  const attempts: (() => void)[] = [
    () => headers.set('a', 'b'),
    () => headers.append('a', 'b'),
    () => headers.delete('a'),
  ];
  return attempts.map((attempt) => {
    try {
      return attempt() ?? 'done';
    } catch (error) {
      return describeError(error);
    }
  });
}

/** The response and its text. */
export async function readAll(response: Response): Promise<unknown> {
  const head = describeResponse(response);
  const text = await settle(response.text());
  return { ...head, text, usedAfter: response.bodyUsed };
}

/** How a promise ends, as a value. */
export async function settle(promise: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    return { value: await (typeof promise === 'function' ? promise() : promise) };
  } catch (error) {
    return { error: describeError(error) };
  }
}

/** An error without its stack, and without the mesh's account at the end of its causes. */
export function describeError(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return { thrown: error };
  const { name, message, code, cause } = error as Error & { code?: unknown; cause?: unknown };
  return {
    class: error.constructor.name,
    name,
    message,
    code,
    ...(cause !== undefined && !MeshError.is(cause) && { cause: describeError(cause) }),
  };
}

function describeRequest(request: SeenRequest): unknown {
  return neutral({ ...request });
}

/** Takes out what differs from one run to the next. */
function neutral(value: unknown): unknown {
  if (typeof value === 'string') {
    return value
      .replaceAll(/----formdata-undici-0\d{11}/g, 'BOUNDARY')
      .replaceAll(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g, 'DATE');
  }
  if (Array.isArray(value)) return value.map(neutral);
  if (value === null || typeof value !== 'object') return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, neutral(one)]));
}
