import { describe, expect, test } from 'vitest';
import { gateUpgrades } from '../../../src/mesh/upgrades.js';
import type { UpgradeRule } from '../../../src/model/upgrade.js';
import { Abort } from '../../../src/runtime/abort.js';
import { EMPTY_BODY } from '../../../src/service/body.js';
import { Completion } from '../../../src/service/completion.js';
import { createExchange } from '../../../src/service/context.js';
import { HeaderMap } from '../../../src/service/headers.js';
import type { Service } from '../../../src/service/service.js';

const agree: Service = async () => ({
  status: 101,
  statusText: '',
  headers: HeaderMap.empty(),
  body: EMPTY_BODY,
  completion: Completion.done,
});

const rule = (type: string, enabled = true): UpgradeRule => ({ type, enabled });

async function ask(
  listener: readonly UpgradeRule[] | undefined,
  route: readonly UpgradeRule[] | undefined,
  upgrade: string | undefined,
): Promise<number> {
  const context = createExchange('outbound', 0, 0);
  context.upgrade = upgrade;
  const response = await gateUpgrades(
    listener,
    route,
    agree,
  )({
    method: 'GET',
    scheme: 'http',
    authority: 'app',
    path: '/',
    headers: HeaderMap.empty(),
    body: EMPTY_BODY,
    abort: new Abort(),
    context,
  });
  return response.status;
}

describe('which upgrades are allowed', () => {
  const listed = [rule('WebSocket'), rule('off', false)];
  test.each<
    [
      string,
      readonly UpgradeRule[] | undefined,
      readonly UpgradeRule[] | undefined,
      string | undefined,
      number,
    ]
  >([
    ['what the listener lists, whatever its case', listed, undefined, 'websocket', 101],
    ['not what the listener turns off', listed, undefined, 'off', 403],
    ['not what it does not list', listed, undefined, 'other', 403],
    ['not CONNECT unless listed', listed, undefined, 'connect', 403],
    ['the route turns on what the listener turned off', listed, [rule('off')], 'off', 101],
    ['the route turns on what the listener does not list', listed, [rule('CONNECT')], 'connect', 101],
    ['the route turns off what the listener allows', listed, [rule('websocket', false)], 'websocket', 403],
    ['a listener without a list leaves all alone', undefined, undefined, 'any', 101],
    ['but for what the route turns off', undefined, [rule('websocket', false)], 'websocket', 403],
    ['plain requests pass', [rule('websocket', false)], undefined, undefined, 101],
  ])('%s', async (_name, listener, route, upgrade, status) => {
    expect(await ask(listener, route, upgrade)).toBe(status);
  });

  test('a refusal is Envoy’s', async () => {
    const context = createExchange('outbound', 0, 0);
    context.upgrade = 'x';
    const request = {
      method: 'GET',
      scheme: 'http',
      authority: 'app',
      path: '/',
      headers: HeaderMap.empty(),
      body: EMPTY_BODY,
      abort: new Abort(),
      context,
    };
    const response = await gateUpgrades([], undefined, agree)(request);
    expect(response.local).toEqual({ reason: 'INMESH_UPGRADE_REFUSED', details: 'upgrade_failed' });
  });
});
