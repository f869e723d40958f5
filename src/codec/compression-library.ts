import { create } from '@bufbuild/protobuf';
import type { CompressorLibrary, DecompressorLibrary } from '../model/body-filters.js';
import { packAny, typeNameOf } from '../proto/any.js';
import {
  brotliCompressor,
  brotliDecompressor,
  core,
  gzipCompressor,
  gzipDecompressor,
  type wkt,
} from '../proto/xds.js';
import { decodeAny } from './codec.js';
import { onlyFields } from './field-guard.js';
import { at, type Path, refuse, required } from './path.js';

const extensionFields = onlyFields(() => core.TypedExtensionConfigSchema, {
  enforced: ['name', 'typed_config'],
});
const gzipFields = onlyFields(() => gzipCompressor.GzipSchema, {
  enforced: ['memory_level', 'compression_level', 'compression_strategy', 'window_bits', 'chunk_size'],
});
const brotliFields = onlyFields(() => brotliCompressor.BrotliSchema, {
  enforced: [
    'quality',
    'encoder_mode',
    'window_bits',
    'input_block_bits',
    'chunk_size',
    'disable_literal_context_modeling',
  ],
});
const gunzipFields = onlyFields(() => gzipDecompressor.GzipSchema, {
  enforced: ['window_bits', 'chunk_size', 'max_inflate_ratio'],
});
const unbrotliFields = onlyFields(() => brotliDecompressor.BrotliSchema, {
  enforced: ['disable_ring_buffer_reallocation', 'chunk_size'],
});

const MODES = ['default', 'generic', 'text', 'font'] as const;

/** The value of a field, or its default; refuses what is out of its bounds. */
function bounded(
  value: number | undefined,
  [fallback, min, max]: readonly [fallback: number, min: number, max: number],
  path: Path,
): number {
  if (value === undefined) return fallback;
  return value >= min && value <= max ? value : refuse(path, `must be between ${min} and ${max}`);
}

const CHUNK = [4096, 4096, 65_536] as const;

/** A library with its name. */
export interface NamedLibrary<T> {
  readonly name: string;
  readonly library: T;
}

function open(extension: core.TypedExtensionConfig | undefined, path: Path): { name: string; any: wkt.Any } {
  const { name, typedConfig } = required(extension, path);
  if (extension !== undefined) extensionFields(extension, path);
  return { name, any: required(typedConfig, at(path, 'typed_config')) };
}

function unknown(any: wkt.Any, path: Path): never {
  return refuse(path, `${JSON.stringify(typeNameOf(any.typeUrl))} is not supported`);
}

/** A `compressor_library`. */
export function decodeCompressor(
  extension: core.TypedExtensionConfig | undefined,
  where: Path,
): NamedLibrary<CompressorLibrary> {
  const { name, any } = open(extension, where);
  const path = at(where, 'typed_config');
  const gzip = decodeAny(gzipCompressor.GzipSchema, any, path);
  if (gzip !== undefined) return { name, library: decodeGzip(gzip, path) };
  const brotli = decodeAny(brotliCompressor.BrotliSchema, any, path);
  return brotli === undefined ? unknown(any, path) : { name, library: decodeBrotli(brotli, path) };
}

function decodeGzip(gzip: gzipCompressor.Gzip, path: Path): CompressorLibrary {
  gzipFields(gzip, path);
  return {
    kind: 'gzip',
    level: bounded(gzip.compressionLevel, [0, 0, 9], at(path, 'compression_level')),
    memoryLevel: bounded(gzip.memoryLevel, [5, 1, 9], at(path, 'memory_level')),
    strategy: bounded(gzip.compressionStrategy, [0, 0, 4], at(path, 'compression_strategy')),
    windowBits: bounded(gzip.windowBits, [12, 9, 15], at(path, 'window_bits')),
    chunkBytes: bounded(gzip.chunkSize, CHUNK, at(path, 'chunk_size')),
  };
}

function decodeBrotli(brotli: brotliCompressor.Brotli, path: Path): CompressorLibrary {
  brotliFields(brotli, path);
  return {
    kind: 'brotli',
    quality: bounded(brotli.quality, [3, 0, 11], at(path, 'quality')),
    mode: MODES[brotli.encoderMode] ?? refuse(at(path, 'encoder_mode'), 'is none of the modes'),
    windowBits: bounded(brotli.windowBits, [18, 10, 24], at(path, 'window_bits')),
    inputBlockBits: bounded(brotli.inputBlockBits, [24, 16, 24], at(path, 'input_block_bits')),
    chunkBytes: bounded(brotli.chunkSize, CHUNK, at(path, 'chunk_size')),
    disableLiteralContext: brotli.disableLiteralContextModeling,
  };
}

/** A `decompressor_library`. */
export function decodeDecompressor(
  extension: core.TypedExtensionConfig | undefined,
  where: Path,
): NamedLibrary<DecompressorLibrary> {
  const { name, any } = open(extension, where);
  const path = at(where, 'typed_config');
  const gzip = decodeAny(gzipDecompressor.GzipSchema, any, path);
  if (gzip !== undefined) {
    gunzipFields(gzip, path);
    const windowBits = bounded(gzip.windowBits, [15, 9, 15], at(path, 'window_bits'));
    const maxRatio = bounded(gzip.maxInflateRatio, [100, 1, 1032], at(path, 'max_inflate_ratio'));
    const chunkBytes = bounded(gzip.chunkSize, CHUNK, at(path, 'chunk_size'));
    return { name, library: { kind: 'gzip', windowBits, chunkBytes, maxRatio } };
  }
  const brotli = decodeAny(brotliDecompressor.BrotliSchema, any, path);
  if (brotli === undefined) return unknown(any, path);
  unbrotliFields(brotli, path);
  const chunkBytes = bounded(brotli.chunkSize, CHUNK, at(path, 'chunk_size'));
  const disableRingBufferGrowth = brotli.disableRingBufferReallocation;
  return { name, library: { kind: 'brotli', chunkBytes, disableRingBufferGrowth } };
}

function extension(name: string, typedConfig: wkt.Any): core.TypedExtensionConfig {
  return create(core.TypedExtensionConfigSchema, { name, typedConfig });
}

/** A `compressor_library` as a message. */
export function encodeCompressor({
  name,
  library,
}: NamedLibrary<CompressorLibrary>): core.TypedExtensionConfig {
  if (library.kind === 'gzip') {
    const { level, memoryLevel, strategy, windowBits, chunkBytes } = library;
    const message = create(gzipCompressor.GzipSchema, {
      compressionLevel: level,
      memoryLevel,
      compressionStrategy: strategy,
      windowBits,
      chunkSize: chunkBytes,
    });
    return extension(name, packAny(gzipCompressor.GzipSchema, message));
  }
  const { quality, mode, windowBits, inputBlockBits, chunkBytes, disableLiteralContext } = library;
  const message = create(brotliCompressor.BrotliSchema, {
    quality,
    encoderMode: MODES.indexOf(mode),
    windowBits,
    inputBlockBits,
    chunkSize: chunkBytes,
    disableLiteralContextModeling: disableLiteralContext,
  });
  return extension(name, packAny(brotliCompressor.BrotliSchema, message));
}

/** A `decompressor_library` as a message. */
export function encodeDecompressor({
  name,
  library,
}: NamedLibrary<DecompressorLibrary>): core.TypedExtensionConfig {
  if (library.kind === 'gzip') {
    const { windowBits, chunkBytes, maxRatio } = library;
    const message = create(gzipDecompressor.GzipSchema, {
      windowBits,
      chunkSize: chunkBytes,
      maxInflateRatio: maxRatio,
    });
    return extension(name, packAny(gzipDecompressor.GzipSchema, message));
  }
  const message = create(brotliDecompressor.BrotliSchema, {
    chunkSize: library.chunkBytes,
    disableRingBufferReallocation: library.disableRingBufferGrowth,
  });
  return extension(name, packAny(brotliDecompressor.BrotliSchema, message));
}
