// Validates the mesh of mesh.config.ts, asks what it does with requests, and writes it as YAML that says the same.
// Exits with 0 when everything is as it should be.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fromYaml } from 'inmesh/config';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const file = here('mesh.config.ts');

/** Runs `inmesh …` and returns what it prints. */
const inmesh = (...args) =>
  execFileSync(process.execPath, [here('../../dist/bin.js'), ...args], { encoding: 'utf8' });

const { valid, documents } = JSON.parse(inmesh('validate', '--strict', '-f', file, '-o', 'json'));
assert.deepEqual([valid, documents], [true, 5]);

const explain = (...args) =>
  JSON.parse(inmesh('explain', 'GET', ...args, '-f', file, '--from', 'shop/web', '-o', 'json'));
assert.equal(explain('http://reviews:9080/reviews/7').route.name, 'read');
assert.equal(explain('http://reviews:9080/reviews/7', '-H', 'x-beta: yes').route.name, 'beta');
assert.equal(explain('http://reviews:9080/health').route.name, 'rest');

const yaml = inmesh('export', '-f', file);
const mesh = await fromYaml(yaml);
assert.deepEqual(await mesh.validate({ strict: true }), []);
console.log(mesh.toYaml());
