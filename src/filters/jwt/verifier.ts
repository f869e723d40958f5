import type { JwtAuthnConfig, JwtProvider, JwtRequirement } from '../../model/jwt-authn.js';
import { unreachable } from '../../runtime/errors.js';
import type { Request } from '../../service/service.js';
import type { FilterTools } from '../filter.js';
import { createExtractor, type Extractor, type FoundToken } from './extract.js';
import { type Extracted, forwardToken } from './forward.js';
import { audienceSet, ProviderRuntime } from './provider.js';
import { describeFailure, type JwtFailure, type JwtStatus } from './status.js';
import { parseToken } from './token.js';

/** Checks one request; what it found out goes to `extracted`. */
export type Verifier = (request: Request, extracted: Extracted) => Promise<JwtStatus>;

/** The providers of a configuration at work. */
export class Providers {
  readonly #all = new Map<string, ProviderRuntime>();
  readonly #byIssuer = new Map<string, ProviderRuntime>();

  constructor(configs: JwtAuthnConfig['providers'], tools: FilterTools) {
    for (const [name, config] of configs) {
      const provider = new ProviderRuntime(config, tools);
      this.#all.set(name, provider);
      if (!this.#byIssuer.has(config.issuer)) this.#byIssuer.set(config.issuer, provider);
    }
  }

  get configs(): JwtProvider[] {
    return [...this.#all.values()].map(({ config }) => config);
  }

  /** The only provider, when there is one only. */
  get single(): ProviderRuntime | undefined {
    return this.#all.size === 1 ? this.#all.values().next().value : undefined;
  }

  get(name: string): ProviderRuntime {
    const provider = this.#all.get(name);
    if (provider === undefined) throw new TypeError(`no JWT provider ${JSON.stringify(name)}`);
    return provider;
  }

  /** Envoy: the first provider of that issuer, else the first that takes any. */
  byIssuer(issuer: string): ProviderRuntime | undefined {
    return this.#byIssuer.get(issuer) ?? this.#byIssuer.get('');
  }
}

/** Compiles a requirement. */
export function createVerifier(requirement: JwtRequirement, providers: Providers): Verifier {
  switch (requirement.kind) {
    case 'provider': {
      const provider = providers.get(requirement.name);
      return authenticator({
        extractor: createExtractor([provider.config]),
        provider,
        audiences: requirement.audiences.length === 0 ? undefined : audienceSet(requirement.audiences),
        allows: 'nothing',
        providers,
      });
    }
    case 'allow-missing':
    case 'allow-missing-or-failed':
      return authenticator({
        extractor: createExtractor(providers.configs),
        provider: undefined,
        audiences: undefined,
        allows: requirement.kind === 'allow-missing' ? 'missing' : 'failed',
        providers,
      });
    case 'any':
      return requiresAny(requirement.requirements, providers);
    case 'all':
      return requiresAll(requirement.requirements.map((one) => createVerifier(one, providers)));
    case 'none':
      return () => Promise.resolve('ok');
    default:
      return unreachable(requirement);
  }
}

function requiresAll(verifiers: readonly Verifier[]): Verifier {
  return async (request, extracted) => {
    for (const verifier of verifiers) {
      const status = await verifier(request, extracted);
      if (status !== 'ok') return status;
    }
    return 'ok';
  };
}

function requiresAny(requirements: readonly JwtRequirement[], providers: Providers): Verifier {
  const allowsFailed = requirements.some(({ kind }) => kind === 'allow-missing-or-failed');
  const allowsMissing = requirements.some(({ kind }) => kind === 'allow-missing');
  const others = requirements.filter(
    ({ kind }) => kind !== 'allow-missing' && kind !== 'allow-missing-or-failed',
  );
  if (others.length === 0) {
    return createVerifier({ kind: allowsFailed ? 'allow-missing-or-failed' : 'allow-missing' }, providers);
  }
  const verifiers = others.map((one) => createVerifier(one, providers));
  return async (request, extracted) => {
    // Envoy: a real error says more than an unknown issuer, and that more than a missing token.
    let final: JwtStatus = 'missing';
    for (const verifier of verifiers) {
      const status = await verifier(request, extracted);
      if (status === 'ok') return 'ok';
      if ((status !== 'missing' && status !== 'unknownIssuer') || final === 'missing') final = status;
    }
    return allowsFailed || (allowsMissing && final === 'missing') ? 'ok' : final;
  };
}

interface Authentication {
  readonly extractor: Extractor;
  /** Undefined = chosen by the issuer of each token. */
  readonly provider: ProviderRuntime | undefined;
  readonly audiences: ReadonlySet<string> | undefined;
  readonly allows: 'nothing' | 'missing' | 'failed';
  readonly providers: Providers;
}

/**
 * Checks all tokens that were found, the last one first. Every one must be good: a bad one could be what the
 * application looks at. Where missing or failed tokens are allowed, the one checked last decides.
 */
function authenticator(authentication: Authentication): Verifier {
  const { extractor, allows, providers } = authentication;
  return async (request, extracted) => {
    extractor.sanitize(request);
    const tokens = extractor.find(request);
    let status: JwtStatus = 'missing';
    let provider: ProviderRuntime | undefined;
    if (tokens.length === 0) noteFailure('missing', providers.single, extracted);
    for (let found = tokens.pop(); found !== undefined; found = tokens.pop()) {
      const checked = await checkToken(request, found, authentication, extracted);
      status = checked.status;
      provider = checked.provider ?? provider;
      if (status === 'ok') continue;
      noteFailure(status, provider ?? providers.single, extracted);
      if (allows === 'nothing') return status;
    }
    if (allows === 'failed') return 'ok';
    return allows === 'missing' && status === 'missing' ? 'ok' : status;
  };
}

function noteFailure(failure: JwtFailure, provider: ProviderRuntime | undefined, extracted: Extracted): void {
  const key = provider?.config.failedStatusInMetadata ?? '';
  if (key === '') return;
  const { code, text } = describeFailure(failure);
  extracted[key] = { code, message: text };
}

interface Checked {
  readonly status: JwtStatus;
  /** Whose token it is, as far as that was found out. */
  readonly provider: ProviderRuntime | undefined;
}

async function checkToken(
  request: Request,
  found: FoundToken,
  { provider: fixed, providers, audiences }: Authentication,
  extracted: Extracted,
): Promise<Checked> {
  const remembered = fixed?.remembered(found.text);
  const token = remembered ?? parseToken(found.text);
  if (typeof token === 'string') return { status: token, provider: fixed };
  if (!found.allows(token.issuer)) return { status: 'unknownIssuer', provider: fixed };
  const provider = fixed ?? providers.byIssuer(token.issuer);
  if (provider === undefined) return { status: 'unknownIssuer', provider };
  const status = await provider.verify(token, audiences, remembered !== undefined);
  if (status === 'ok') forwardToken(request, provider.config, token, found, extracted);
  return { status, provider };
}
