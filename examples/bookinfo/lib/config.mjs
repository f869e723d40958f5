// The configuration folder that the control plane watches, and `apply` in the manner of kubectl.
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

const OWN = fileURLToPath(new URL('../config/', import.meta.url));

/** Istio's published file for each of our own; used when INMESH_SAMPLES_DIR names their folder. */
const PUBLISHED = {
  'destination-rules.yaml': 'destination-rule-all.yaml',
  'destination-rules-mtls.yaml': 'destination-rule-all-mtls.yaml',
  'all-v1.yaml': 'virtual-service-all-v1.yaml',
  'reviews-50-50.yaml': 'virtual-service-reviews-50-v3.yaml',
  'reviews-90-10.yaml': 'virtual-service-reviews-90-10.yaml',
  'reviews-end-user.yaml': 'virtual-service-reviews-test-v2.yaml',
  'ratings-delay.yaml': 'virtual-service-ratings-test-delay.yaml',
  'ratings-abort.yaml': 'virtual-service-ratings-test-abort.yaml',
};

export class ConfigFolder {
  path = mkdtempSync(join(tmpdir(), 'inmesh-bookinfo-'));
  #samples = process.env.INMESH_SAMPLES_DIR;

  /** Adds the file's documents; one of the same kind and name is replaced. */
  apply(...names) {
    for (const name of names) {
      const text = readFileSync(this.#find(name), 'utf8');
      for (const document of parseAllDocuments(text)) {
        const { kind, metadata } = document.toJS() ?? {};
        if (kind === undefined) continue;
        const file = join(this.path, `${kind}.${metadata.name}.yaml`.toLowerCase());
        // Renamed into place, so that no half-written file is ever read.
        writeFileSync(`${file}.new`, String(document));
        renameSync(`${file}.new`, file);
      }
    }
    return this;
  }

  /** Takes a document away. */
  remove(kind, name) {
    rmSync(join(this.path, `${kind}.${name}.yaml`.toLowerCase()), { force: true });
  }

  close() {
    rmSync(this.path, { recursive: true, force: true });
  }

  #find(name) {
    const published = this.#samples === undefined ? undefined : PUBLISHED[name];
    return published === undefined ? join(OWN, name) : this.#findPublished(published);
  }

  /** Istio keeps its samples some folders deep; the name tells the file. */
  #findPublished(name) {
    const path = readdirSync(this.#samples, { recursive: true }).find((one) => basename(one) === name);
    if (path === undefined) throw new Error(`INMESH_SAMPLES_DIR has no ${name}`);
    return join(this.#samples, path);
  }
}
