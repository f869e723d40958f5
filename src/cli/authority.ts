import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { ControlPlaneOptions } from '../control-plane.js';
import { createBundleEndpointSource, parseSpiffeBundle, parseSpiffeId } from '../identity.js';
import { systemClock } from '../runtime/clock.js';
import { MeshError, messageOf } from '../runtime/errors.js';
import type { Logger } from '../runtime/log.js';
import { systemRandom } from '../runtime/random.js';
import type { AuthorityOptions } from './authority-options.js';

/** What the options come to for `createControlPlane`. */
export async function authorityOf(
  options: AuthorityOptions,
  logger: Logger,
): Promise<Pick<ControlPlaneOptions, 'certificateAuthority' | 'bundleEndpoint' | 'federation'>> {
  const { caPassphrase, caPassphraseFile, bundleEndpoint, federation } = options;
  const plugged = pluggedOf(options);
  return {
    certificateAuthority: {
      ...(plugged !== undefined && { plugged }),
      ...(caPassphraseFile !== undefined && { passphraseFile: caPassphraseFile }),
      ...(caPassphraseFile === undefined && caPassphrase !== undefined && { passphrase: caPassphrase }),
    },
    ...(bundleEndpoint !== undefined && { bundleEndpoint }),
    ...(federation !== undefined && { federation: await readFederation(federation, logger) }),
  };
}

type Plugged = NonNullable<ControlPlaneOptions['certificateAuthority']>['plugged'];

function pluggedOf(options: AuthorityOptions): Plugged {
  const { caDir, caCert, caKey, caChain, caRoot, caPkcs12 } = options;
  const { caKeyPassphrase, caKeyPassphraseFile } = options;
  const opening = {
    ...(caKeyPassphraseFile !== undefined && { passphraseFile: caKeyPassphraseFile }),
    ...(caKeyPassphraseFile === undefined &&
      caKeyPassphrase !== undefined && { passphrase: caKeyPassphrase }),
  };
  const hasPem = caCert !== undefined || caKey !== undefined || caChain !== undefined;
  if (Number(caDir !== undefined) + Number(hasPem) + Number(caPkcs12 !== undefined) > 1)
    throw invalid('an authority is in one place', 'Give one of --ca-dir, --ca-cert, --ca-pkcs12');
  if (caDir !== undefined) {
    if (caRoot !== undefined) throw invalid('--ca-root goes with --ca-cert or --ca-pkcs12', 'Leave it out');
    return { cacertsDir: caDir, ...opening };
  }
  if (caPkcs12 !== undefined)
    return { pkcs12File: caPkcs12, ...(caRoot !== undefined && { rootFile: caRoot }), ...opening };
  if (!hasPem && caRoot === undefined) return undefined;
  if (caCert === undefined || caKey === undefined || caRoot === undefined)
    throw invalid(
      'an authority in PEM has a certificate, a key and a root',
      'Give --ca-cert, --ca-key, --ca-root',
    );
  return {
    certificateFile: caCert,
    keyFile: caKey,
    rootFile: caRoot,
    ...(caChain !== undefined && { chainFile: caChain }),
    ...opening,
  };
}

const PARTNER_FIELDS = ['trustDomain', 'url', 'endpointId', 'bundleFile', 'rootsFile'] as const;
type PartnerField = (typeof PARTNER_FIELDS)[number];
type Partner = Readonly<Partial<Record<PartnerField, string>>>;

/** Starts to follow the bundle endpoints that a file names; paths in it are seen from its folder. */
async function readFederation(path: string, logger: Logger) {
  const partners = partnersOf(await readText(path), path);
  const textOf = (file: string) => readText(resolve(dirname(path), file));
  const read = await Promise.all(
    partners.map(async ({ trustDomain = '', url = '', endpointId, bundleFile, rootsFile }) => {
      const bundle = bundleFile === undefined ? undefined : await textOf(bundleFile);
      const roots = rootsFile === undefined ? undefined : [await textOf(rootsFile)];
      if (endpointId === undefined)
        return { trustDomain, url, profile: { kind: 'https_web', roots } as const };
      const server = parseSpiffeId(endpointId).trustDomain;
      const known = bundle === undefined ? undefined : parseSpiffeBundle(server, bundle);
      const bundleOf = () => known?.x509;
      return {
        trustDomain,
        url,
        profile: { kind: 'https_spiffe', endpointId, bundle: known, bundleOf } as const,
      };
    }),
  );
  // Nothing is followed before all of it was understood.
  const tools = { clock: systemClock, random: systemRandom, logger };
  return read.map((one) => createBundleEndpointSource({ ...one, ...tools }));
}

function partnersOf(text: string, path: string): readonly Partner[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(`the federation file is no JSON: ${messageOf(cause)}`, EXAMPLE, path);
  }
  if (!Array.isArray(json)) throw invalid('the federation file is no list', EXAMPLE, path);
  return json.map((one: unknown, index) => {
    const partner = partnerOf(one);
    if (partner?.trustDomain !== undefined && partner.url !== undefined) return partner;
    throw invalid(`[${index}] of the federation file is no partner`, EXAMPLE, path);
  });
}

function partnerOf(value: unknown): Partner | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const isKnown = ([name, one]: [string, unknown]) =>
    PARTNER_FIELDS.some((field) => field === name) && typeof one === 'string';
  return Object.entries(value).every(isKnown) ? value : undefined;
}

const EXAMPLE =
  'For example [{ "trustDomain": "bank.test", "url": "https://bank.test:8443/", "endpointId": "spiffe://bank.test/ns/istio-system/sa/istiod", "bundleFile": "bank.json" }]';

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw invalid(`the file can not be read: ${messageOf(cause)}`, 'Check the path and its permission', path);
  }
}

function invalid(what: string, hint: string, resource?: string): MeshError {
  return new MeshError('INMESH_OPTION_INVALID', what, { hint, resource });
}
