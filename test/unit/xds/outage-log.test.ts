import { describe, expect, test } from 'vitest';
import { MeshError } from '../../../src/runtime/errors.js';
import { createTextLogger } from '../../../src/runtime/log.js';
import { createOutageLog } from '../../../src/xds/outage-log.js';

const down = new MeshError('INMESH_CONTROL_PLANE_UNAVAILABLE', 'down');

describe('the log of outages', () => {
  test('an outage is told once, and the next one again', () => {
    const lines: string[] = [];
    const log = createOutageLog(createTextLogger((line) => lines.push(line), 'warn'));
    log.lost(down, true);
    log.lost(down, true);
    expect(lines).toHaveLength(1);
    log.answered();
    log.lost(down, true);
    expect(lines).toHaveLength(2);
  });

  test('says whether a configuration stays in force', () => {
    const lines: string[] = [];
    const log = createOutageLog(createTextLogger((line) => lines.push(line), 'warn'));
    log.lost(down, false);
    log.answered();
    log.lost(down, true);
    expect(lines[0]).toContain('cannot be reached; trying again');
    expect(lines[1]).toContain('the configuration in force stays');
  });
});
