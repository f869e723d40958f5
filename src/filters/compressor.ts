import type { CompressionRule, CompressorConfig, CompressorRouteConfig } from '../model/body-filters.js';
import type { FilterConfig } from '../model/filter-config.js';
import type { BodyChange, ResponseHead } from '../service/head-change.js';
import type { HeaderMap } from '../service/headers.js';
import { changeResponse } from '../service/response-head.js';
import type { Filter, Request } from '../service/service.js';
import { type BodyTransform, transformBody } from '../service/transform-body.js';
import { CODINGS, compressing } from './compression.js';
import { type CodingOffer, chooseCoding, listOf, lists } from './content-coding.js';
import type { FilterTools } from './filter.js';
import type { FilterCounter } from './filter-memory.js';

/** Envoy's list. */
const CONTENT_TYPES = [
  'application/javascript',
  'application/json',
  'application/xhtml+xml',
  'image/svg+xml',
  'text/css',
  'text/html',
  'text/plain',
  'text/xml',
];

/**
 * Compressor (Envoy `envoy.filters.http.compressor`): compresses responses for callers that accept it, and where it is
 * asked to, requests. Several in one chain agree on the coding that the caller likes best.
 */
export function compressor(
  base: CompressorConfig,
  layers: readonly FilterConfig[],
  tools: FilterTools,
): Filter | undefined {
  const route = layers.find((layer): layer is CompressorRouteConfig => layer.kind === 'compressor-route');
  if (route?.disabled === true) return undefined;
  const { library, response } = base;
  const hidesAccept = route?.removeAcceptEncoding ?? response.removeAcceptEncoding;
  const offer: CodingOffer = { coding: CODINGS[library.kind], isFirst: base.chooseFirst };
  const requests = base.request && direction(base, base.request, 'request', tools);
  const responses = direction(base, response, 'response', tools);
  return (request, next) => {
    if (requests !== undefined) compressRequest(request, requests, offer.coding);
    if (!response.enabled) return next(request);
    const accepts = request.headers.has('accept-encoding')
      ? listOf(request.headers, 'accept-encoding')
      : undefined;
    if (hidesAccept) request.headers.delete('accept-encoding');
    const offers = offersOf(request);
    offers.push(offer);
    return changeResponse(request, next, (head) => {
      const isWanted = () => accepts !== undefined && chooseCoding(accepts, offers) === offer.coding;
      return compressResponse(request, head, { ...responses, isWanted, coding: offer.coding, response });
    });
  };
}

interface Direction {
  readonly rule: CompressionRule;
  readonly types: ReadonlySet<string>;
  readonly transform: BodyTransform;
  readonly done: FilterCounter;
  readonly leftAlone: FilterCounter;
}

function direction(
  { name, library }: CompressorConfig,
  rule: CompressionRule,
  side: 'request' | 'response',
  { memory }: FilterTools,
): Direction {
  const counter = (figure: string) => memory.counter(`compressor.${name}.${library.kind}.${side}.${figure}`);
  const types = rule.contentTypes.length === 0 ? CONTENT_TYPES : rule.contentTypes;
  return {
    rule,
    types: new Set(types.map((type) => type.toLowerCase())),
    transform: compressing(library, {
      uncompressed: counter('total_uncompressed_bytes'),
      compressed: counter('total_compressed_bytes'),
    }),
    done: counter('compressed'),
    leftAlone: counter('not_compressed'),
  };
}

const OFFERS = Symbol('codings that the compressors of a chain offer');

/** Of all compressors that the request has passed. */
function offersOf({ context }: Request): CodingOffer[] {
  context.values ??= new Map();
  const known = context.values.get(OFFERS) as CodingOffer[] | undefined;
  if (known !== undefined) return known;
  const offers: CodingOffer[] = [];
  context.values.set(OFFERS, offers);
  return offers;
}

function compressRequest(
  request: Request,
  { rule, types, transform, done, leftAlone }: Direction,
  coding: string,
) {
  const { headers, body, context } = request;
  const isCompressible =
    rule.enabled &&
    body.kind !== 'empty' &&
    context.upgrade === undefined &&
    isLongEnough(headers, rule) &&
    isTypeAllowed(headers, types) &&
    !headers.has('content-encoding') &&
    isTransferAllowed(headers, coding);
  if (!isCompressible) {
    leftAlone.value++;
    return;
  }
  done.value++;
  markCompressed(headers, coding);
  request.body = transformBody(body, transform);
}

interface Decision extends Direction {
  readonly coding: string;
  readonly response: CompressorConfig['response'];
  readonly isWanted: () => boolean;
}

function compressResponse(
  { method, context }: Request,
  { status, headers }: ResponseHead,
  { rule, types, response, coding, isWanted, ...rest }: Decision,
): BodyChange | undefined {
  const isCompressible =
    context.upgrade === undefined &&
    isLongEnough(headers, rule) &&
    isTypeAllowed(headers, types) &&
    !lists(headers, 'cache-control', 'no-transform') &&
    !(response.disableOnEtag && headers.has('etag')) &&
    !headers.has('content-encoding');
  const hasBody = method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
  const isCompressed = isCompressible && hasBody && isWanted() && isTransferAllowed(headers, coding);
  if (isCompressed) {
    const etag = headers.get('etag');
    // RFC 9110 §8.8.3: a strong tag stands for these very bytes.
    if (etag !== undefined && !/^W\//i.test(etag)) headers.delete('etag');
    markCompressed(headers, coding);
  }
  // Envoy: caches must know it also of the answers that are not compressed.
  if (isCompressible) addVary(headers);
  (isCompressed ? rest.done : rest.leftAlone).value++;
  return isCompressed ? (body) => transformBody(body, rest.transform) : undefined;
}

/** What does not tell its length may be long. */
function isLongEnough(headers: HeaderMap, { minLength }: CompressionRule): boolean {
  const length = headers.get('content-length');
  return length === undefined || Number(length) >= minLength;
}

/** What does not tell its type may be text (Envoy). */
function isTypeAllowed(headers: HeaderMap, types: ReadonlySet<string>): boolean {
  const type = headers.get('content-type');
  if (type === undefined) return true;
  const [media = ''] = type.split(';', 1);
  return types.has(media.trim().toLowerCase());
}

function isTransferAllowed(headers: HeaderMap, coding: string): boolean {
  return ![coding, 'gzip', 'deflate'].some((one) => lists(headers, 'transfer-encoding', one));
}

function markCompressed(headers: HeaderMap, coding: string): void {
  headers.delete('content-length');
  headers.set('content-encoding', coding);
}

function addVary(headers: HeaderMap): void {
  if (lists(headers, 'vary', 'accept-encoding') || lists(headers, 'vary', '*')) return;
  const vary = headers.getAll('vary').join(', ');
  headers.set('vary', vary === '' ? 'Accept-Encoding' : `${vary}, Accept-Encoding`);
}
