import { describe, expect, test } from 'vitest';
import { HandshakeLimit } from '../../../../src/bindings/http/handshake-limit.js';
import { createFakeClock } from '../../../../src/testing/fake-clock.js';

describe('handshakes of an address', () => {
  const begun = (limit: HandshakeLimit, address: string, count: number) =>
    Array.from({ length: count }, () => limit.begin(address)).filter(Boolean).length;

  test('that come to nothing are limited, and more are allowed with time', async () => {
    const clock = createFakeClock();
    const limit = new HandshakeLimit(clock, { burst: 3, perSecond: 2 });
    expect(begun(limit, '10.0.0.1', 10)).toBe(3);
    await clock.advance(1_000);
    expect(begun(limit, '10.0.0.1', 10)).toBe(2);
    await clock.advance(60_000);
    expect(begun(limit, '10.0.0.1', 10)).toBe(3);
  });

  test('that succeed cost nothing', () => {
    const limit = new HandshakeLimit(createFakeClock(), { burst: 2, perSecond: 0 });
    for (let i = 0; i < 100; i++) {
      expect(limit.begin('10.0.0.1')).toBe(true);
      limit.succeeded('10.0.0.1');
    }
    expect(begun(limit, '10.0.0.1', 10)).toBe(2);
  });

  test('do not count for others; of IPv6 the network counts', () => {
    const limit = new HandshakeLimit(createFakeClock(), { burst: 1, perSecond: 0 });
    expect(begun(limit, '10.0.0.1', 2)).toBe(1);
    expect(begun(limit, '10.0.0.2', 2)).toBe(1);
    expect(begun(limit, '2001:db8::1', 1) + begun(limit, '2001:db8::2', 1)).toBe(1);
    expect(begun(limit, '2001:db8:0:1::1', 1)).toBe(1);
  });

  test('are forgotten when too many others came since', () => {
    const limit = new HandshakeLimit(createFakeClock(), { burst: 1, perSecond: 0 });
    limit.begin('10.0.0.1');
    for (let i = 0; i < 10_000; i++) limit.begin(`a${i}`);
    expect(limit.begin('10.0.0.1')).toBe(true);
  });
});
