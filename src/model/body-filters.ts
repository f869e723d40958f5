import type { RuntimeKeys } from './runtime.js';

/** Envoy Buffer: requests are read whole before they go on. */
export interface BufferConfig {
  readonly kind: 'buffer';
  readonly maxRequestBytes: number;
}

/** Envoy BufferPerRoute. */
export interface BufferRouteConfig {
  readonly kind: 'buffer-route';
  /** Undefined = requests are not buffered there. */
  readonly maxRequestBytes: number | undefined;
}

/** How a body is compressed. */
export type CompressorLibrary =
  | {
      readonly kind: 'gzip';
      /** 1 (fastest) to 9 (smallest); 0 for zlib's default. Default 0. */
      readonly level: number;
      /** 1 to 9. Default 5. */
      readonly memoryLevel: number;
      /** zlib's number of it: default, filtered, Huffman only, RLE, fixed. Default 0. */
      readonly strategy: number;
      /** 9 to 15. Default 12. */
      readonly windowBits: number;
      /** Default 4096. */
      readonly chunkBytes: number;
    }
  | {
      readonly kind: 'brotli';
      /** 0 to 11. Default 3. */
      readonly quality: number;
      readonly mode: 'default' | 'generic' | 'text' | 'font';
      /** 10 to 24. Default 18. */
      readonly windowBits: number;
      /** 16 to 24. Default 24. */
      readonly inputBlockBits: number;
      readonly chunkBytes: number;
      readonly disableLiteralContext: boolean;
    };

/** How a body is read that was compressed. */
export type DecompressorLibrary =
  | {
      readonly kind: 'gzip';
      /** 9 to 15. Default 15. */
      readonly windowBits: number;
      readonly chunkBytes: number;
      /** How much longer than what came it may become. Default 100. */
      readonly maxRatio: number;
    }
  | { readonly kind: 'brotli'; readonly chunkBytes: number; readonly disableRingBufferGrowth: boolean };

/** Which messages of one direction are compressed. */
export interface CompressionRule {
  /** Default true. */
  readonly enabled: boolean;
  /** Bytes; a message that tells less is left as it is. Default 30. */
  readonly minLength: number;
  /** Empty = Envoy's list: text, JSON, JavaScript, SVG. */
  readonly contentTypes: readonly string[];
  readonly runtimeKeys?: RuntimeKeys<'enabled'> | undefined;
}

/** Envoy Compressor. */
export interface CompressorConfig {
  readonly kind: 'compressor';
  /** For statistics. */
  readonly name: string;
  readonly library: CompressorLibrary;
  /** Undefined = requests are left as they are. */
  readonly request: CompressionRule | undefined;
  readonly response: CompressionRule & {
    /** Leaves responses with an ETag alone; else a strong one is removed. Default false. */
    readonly disableOnEtag: boolean;
    /** The next filter and the upstream are not told what the caller accepts. Default false. */
    readonly removeAcceptEncoding: boolean;
  };
  /** Goes before others that the caller likes as much. Default false. */
  readonly chooseFirst: boolean;
}

/** Envoy CompressorPerRoute. */
export interface CompressorRouteConfig {
  readonly kind: 'compressor-route';
  readonly disabled: boolean;
  /** Undefined = as the filter says. */
  readonly removeAcceptEncoding: boolean | undefined;
}

/** Which messages of one direction are decompressed. */
export interface DecompressionRule {
  /** Default true. */
  readonly enabled: boolean;
  /** Also those with `cache-control: no-transform`. Default false. */
  readonly ignoreNoTransform: boolean;
  readonly runtimeKeys?: RuntimeKeys<'enabled'> | undefined;
}

/** Envoy Decompressor. */
export interface DecompressorConfig {
  readonly kind: 'decompressor';
  /** For statistics. */
  readonly name: string;
  readonly library: DecompressorLibrary;
  /** `advertise`: the upstream is told that responses may be compressed so. Default true. */
  readonly request: DecompressionRule & { readonly advertise: boolean };
  readonly response: DecompressionRule;
}

/** Configuration of the filters that work on bodies. */
export type BodyFilterConfig =
  | BufferConfig
  | BufferRouteConfig
  | CompressorConfig
  | CompressorRouteConfig
  | DecompressorConfig;
