import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError, messageOf } from '../../runtime/errors.js';
import { assembleAuthority, type IssuingAuthority } from './issuing-authority.js';
import { readPkcs12 } from './pkcs12.js';
import { type Passphrase, readKey, readPassphrase, readSecretFile } from './private-key.js';

/** Files of an authority that somebody else made. */
export type PluggedCa = (
  | {
      /** Istio's layout: a folder with `ca-cert.pem`, `ca-key.pem`, `root-cert.pem`, and `cert-chain.pem` if there is one. */
      readonly cacertsDir: string;
    }
  | {
      /** PEM of the issuing certificate, and of those between it and the root. */
      readonly certificateFile: string;
      /** PEM, mode 0600. */
      readonly keyFile: string;
      /** PEM of those between it and the root, where they are not in `certificateFile`. */
      readonly chainFile?: string;
      /** PEM of the root, or of several. */
      readonly rootFile: string;
    }
  | {
      /** PKCS #12 with the key, its certificate, and the chain up to the root; mode 0600. */
      readonly pkcs12File: string;
      /** PEM of the root, where it is not in the PKCS #12. */
      readonly rootFile?: string;
    }
) & {
  /** Opens the key. */
  readonly passphrase?: string;
  /** File of mode 0600 with what opens the key. */
  readonly passphraseFile?: string;
};

/** An authority of files. */
export interface LoadedAuthority {
  readonly authority: IssuingAuthority;
  /** PEM of every root that the files vouch for. */
  readonly roots: string;
}

/** Reads and checks the files. */
export async function loadPluggedAuthority(
  files: PluggedCa,
  { trustDomain, nowMs }: { readonly trustDomain: string; readonly nowMs: number },
): Promise<LoadedAuthority> {
  const passphrase = await readPassphrase(files);
  const { certificates, roots, privateKey, resource } = await readParts(files, passphrase);
  return {
    authority: assembleAuthority({ certificates, roots, privateKey, trustDomain, nowMs, resource }),
    roots,
  };
}

async function readParts(files: PluggedCa, passphrase: Passphrase) {
  if ('pkcs12File' in files) {
    const resource = files.pkcs12File;
    const { privateKey, certificates, selfSigned } = await readPkcs12(
      await readSecretFile(resource),
      passphrase,
      resource,
    );
    const roots = files.rootFile === undefined ? selfSigned : await readText(files.rootFile);
    return { privateKey, certificates, roots, resource };
  }
  const paths = pathsOf(files);
  const [certificate, chain, roots, key] = await Promise.all([
    readText(paths.certificate),
    paths.chain === undefined ? '' : readText(paths.chain, paths.isChainOptional),
    readText(paths.root),
    readSecretFile(paths.key),
  ]);
  return {
    privateKey: readKey(key.toString('utf8'), passphrase, paths.key),
    certificates: `${certificate}\n${chain}`,
    roots,
    resource: paths.certificate,
  };
}

interface Paths {
  readonly certificate: string;
  readonly key: string;
  readonly root: string;
  readonly chain: string | undefined;
  readonly isChainOptional: boolean;
}

function pathsOf(files: Exclude<PluggedCa, { readonly pkcs12File: string }>): Paths {
  if (!('cacertsDir' in files)) {
    const { certificateFile, keyFile, chainFile, rootFile } = files;
    return {
      certificate: certificateFile,
      key: keyFile,
      root: rootFile,
      chain: chainFile,
      isChainOptional: false,
    };
  }
  const at = (name: string) => join(files.cacertsDir, name);
  return {
    certificate: at('ca-cert.pem'),
    key: at('ca-key.pem'),
    root: at('root-cert.pem'),
    chain: at('cert-chain.pem'),
    isChainOptional: true,
  };
}

/** The files that a change is looked for in. */
export function pluggedPaths(files: PluggedCa): readonly string[] {
  const more = files.passphraseFile === undefined ? [] : [files.passphraseFile];
  if ('pkcs12File' in files) {
    return [files.pkcs12File, ...(files.rootFile === undefined ? [] : [files.rootFile]), ...more];
  }
  const { certificate, key, root, chain } = pathsOf(files);
  return [certificate, key, root, ...(chain === undefined ? [] : [chain]), ...more];
}

/** A text that changes when one of the files does. Kubernetes swaps a link: what it leads to counts. */
export async function stampOf(paths: readonly string[]): Promise<string> {
  const stamps = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, size, mtimeMs } = await stat(path);
        return `${ino}:${size}:${mtimeMs}`;
      } catch {
        return '-';
      }
    }),
  );
  return stamps.join(' ');
}

async function readText(path: string, isOptional = false): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isOptional) return '';
    throw new MeshError(
      'INMESH_CA_UNFIT',
      `a file of the certificate authority cannot be read: ${messageOf(error)}`,
      {
        resource: path,
        cause: error,
        hint: 'Check the path and the permission; ca-cert.pem, ca-key.pem and root-cert.pem must be there (cert-chain.pem may be)',
      },
    );
  }
}
