/**
 * What runs in the thread of a configuration module: plain text, as a thread has no other way into a bundle. It answers
 * with the documents, or with what went wrong, and where values can not be handed over, with the way to the first.
 */
export const LOADER = `
const { parentPort, workerData } = require('node:worker_threads');
const { path, url, jiti, tsx } = workerData;

async function load() {
  if (jiti !== undefined) {
    const { createJiti } = require(jiti);
    return createJiti(path, { fsCache: false, moduleCache: false, interopDefault: false }).import(path);
  }
  if (tsx !== undefined) {
    const { tsImport } = await import(require('node:url').pathToFileURL(tsx).href);
    return tsImport(url, url);
  }
  return import(url);
}

function documentsOf(value) {
  if (Array.isArray(value)) return value.flatMap(documentsOf);
  if (typeof value === 'object' && value !== null && Array.isArray(value.documents)) return value.documents.flatMap(documentsOf);
  return [value];
}

function strange(value, at, seen) {
  if (typeof value === 'function' || typeof value === 'symbol') return at + ' can not be a ' + typeof value;
  if (typeof value !== 'object' || value === null || seen.has(value)) return undefined;
  seen.add(value);
  for (const [key, item] of Object.entries(value)) {
    const found = strange(item, at === '' ? key : Array.isArray(value) ? at + '[' + key + ']' : at + '.' + key, seen);
    if (found !== undefined) return found;
  }
  return undefined;
}

function answer(documents) {
  try {
    parentPort.postMessage({ documents });
  } catch (error) {
    for (const [index, one] of documents.entries()) {
      const found = strange(one, '', new Set());
      if (found === undefined) continue;
      const name = one && one.kind && one.metadata ? one.kind + ' ' + one.metadata.name : 'document ' + (index + 1);
      const message = found + ' (' + name + ')';
      parentPort.postMessage({ failure: { code: 'INMESH_CONFIG_INVALID', message } });
      return;
    }
    throw error;
  }
}

(async () => {
  const module = await load();
  // A CommonJS module that was compiled from an ES module has its default export in that of Node.
  let value = module.default;
  if (value && value.__esModule) value = value.default;
  if (typeof value === 'function') value = value();
  value = await value;
  if (typeof value !== 'object' || value === null) {
    const message = 'its default export must be a mesh (defineMesh of inmesh/config) or a list of documents';
    parentPort.postMessage({ failure: { code: 'INMESH_CONFIG_INVALID', message } });
  } else answer(documentsOf(value));
})().catch((error) => {
  const { message = String(error), code, stack } = error ?? {};
  const kind = error instanceof Error && code === undefined && error.name !== 'Error' ? error.name + ': ' : '';
  parentPort.postMessage({
    failure: { message: kind + message, code: typeof code === 'string' ? code : undefined, stack: String(stack) },
  });
});
`;
