import { create } from '@bufbuild/protobuf';
import type { BufferConfig, BufferRouteConfig } from '../model/body-filters.js';
import { httpBuffer as buffer, httpCompressor, httpDecompressor } from '../proto/xds.js';
import {
  decodeCompressorFilter,
  decodeCompressorRoute,
  decodeDecompressorFilter,
  encodeCompressorFilter,
  encodeCompressorRoute,
  encodeDecompressorFilter,
} from './compressor.js';
import { onlyFields } from './field-guard.js';
import { type FilterCodec, filterCodec } from './filter-codec.js';
import { at, type Path, refuse, required } from './path.js';

const bufferFields = onlyFields(() => buffer.BufferSchema, { enforced: ['max_request_bytes'] });
const bufferRouteFields = onlyFields(() => buffer.BufferPerRouteSchema, { enforced: ['disabled', 'buffer'] });

function decodeBytes(message: buffer.Buffer, path: Path): number {
  bufferFields(message, path);
  const where = at(path, 'max_request_bytes');
  const bytes = required(message.maxRequestBytes, where);
  return bytes === 0 ? refuse(where, 'must be greater than 0') : bytes;
}

function decodeBufferRoute(message: buffer.BufferPerRoute, path: Path): BufferRouteConfig {
  bufferRouteFields(message, path);
  const { override } = message;
  switch (override.case) {
    case 'disabled':
      if (!override.value) refuse(at(path, 'disabled'), 'must be true');
      return { kind: 'buffer-route', maxRequestBytes: undefined };
    case 'buffer':
      return { kind: 'buffer-route', maxRequestBytes: decodeBytes(override.value, at(path, 'buffer')) };
    default:
      return refuse(path, 'needs disabled or buffer');
  }
}

function encodeBuffer({ maxRequestBytes }: Pick<BufferConfig, 'maxRequestBytes'>): buffer.Buffer {
  return create(buffer.BufferSchema, { maxRequestBytes });
}

function encodeBufferRoute({ maxRequestBytes }: BufferRouteConfig): buffer.BufferPerRoute {
  return create(buffer.BufferPerRouteSchema, {
    override:
      maxRequestBytes === undefined
        ? { case: 'disabled', value: true }
        : { case: 'buffer', value: encodeBuffer({ maxRequestBytes }) },
  });
}

/** The filters that work on bodies. */
export const BODY_FILTER_CODECS: readonly FilterCodec[] = [
  filterCodec({
    kind: 'buffer',
    schema: () => buffer.BufferSchema,
    isPerRoute: false,
    decode: (message, path) => ({ kind: 'buffer', maxRequestBytes: decodeBytes(message, path) }),
    encode: (config: BufferConfig) => encodeBuffer(config),
  }),
  filterCodec({
    kind: 'buffer-route',
    schema: () => buffer.BufferPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeBufferRoute,
    encode: encodeBufferRoute,
  }),
  filterCodec({
    kind: 'compressor',
    schema: () => httpCompressor.CompressorSchema,
    isPerRoute: false,
    decode: decodeCompressorFilter,
    encode: encodeCompressorFilter,
  }),
  filterCodec({
    kind: 'compressor-route',
    schema: () => httpCompressor.CompressorPerRouteSchema,
    isPerRoute: 'only',
    decode: decodeCompressorRoute,
    encode: encodeCompressorRoute,
  }),
  filterCodec({
    kind: 'decompressor',
    schema: () => httpDecompressor.DecompressorSchema,
    isPerRoute: false,
    decode: decodeDecompressorFilter,
    encode: encodeDecompressorFilter,
  }),
];
