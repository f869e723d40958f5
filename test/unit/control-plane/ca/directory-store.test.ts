import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { createDirectoryCaStore } from '../../../../src/control-plane/ca/directory-store.js';

const folder = mkdtempSync(join(tmpdir(), 'inmesh-test-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a root that cannot be saved is told with a code, the place and what to do', async () => {
  writeFileSync(join(folder, 'file'), '');
  const store = createDirectoryCaStore(join(folder, 'file', 'data'));
  await expect(store.save('pem')).rejects.toMatchObject({
    code: 'INMESH_STORE_WRITE',
    resource: join(folder, 'file', 'data', 'ca.json'),
    hint: expect.stringContaining('writable'),
  });
});
