import type { JsonValue } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { ROUTE_CONFIGURATION } from '../../../src/codec/resource-types.js';
import { decoded, refusal, tableWithRoute } from './wire.js';

const table = (...upgradeConfigs: JsonValue[]) => tableWithRoute({ route: { cluster: 'c', upgradeConfigs } });

describe('upgrade_configs of a route', () => {
  test('a CONNECT that ends here, and back', () => {
    const json = table(
      { upgradeType: 'CONNECT', connectConfig: {} },
      { upgradeType: 'websocket', enabled: false },
    );
    const model = decoded(ROUTE_CONFIGURATION, json);
    expect(model.virtualHosts[0]?.routes[0]?.action).toMatchObject({
      upgrades: [
        { type: 'CONNECT', enabled: true, terminates: true },
        { type: 'websocket', enabled: false },
      ],
    });
    expect(ROUTE_CONFIGURATION.decode(ROUTE_CONFIGURATION.encode(model)).resource).toEqual(model);
  });

  test.each([
    [{ upgradeType: 'websocket', connectConfig: {} }, 'connect_config: is for upgrade_type CONNECT only'],
    [{ upgradeType: 'CONNECT', connectConfig: { allowPost: true } }, 'connect_config.allow_post'],
    [
      { upgradeType: 'CONNECT', connectConfig: { proxyProtocolConfig: {} } },
      'connect_config.proxy_protocol_config',
    ],
  ])('refuses %j', (config, what) => {
    expect(refusal(ROUTE_CONFIGURATION, table(config))).toContain(what);
  });
});
