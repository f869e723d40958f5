import { type experimental, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { Experimental } from './adapter.js';
import type { MethodSettingsOf } from './service-config.js';

type CallConfig = ReturnType<experimental.ConfigSelector['invoke']>;
type CallFilter = experimental.Filter;

/**
 * What calls of a channel whose target is the mesh's are made with: the times and `waitForReady` of its service config. Its
 * retries are below, with the rest.
 */
export function meshConfigSelector(
  grpc: Experimental,
  settings: MethodSettingsOf,
): experimental.ConfigSelector {
  const dynamicFilterFactories = [{ createFilter: guardClass(grpc) }];
  return {
    invoke(method): CallConfig {
      const { timeoutMs, waitForReady } = settings(method);
      return {
        methodConfig: {
          name: [],
          ...(timeoutMs !== undefined && { timeout: durationOf(timeoutMs) }),
          ...(waitForReady !== undefined && { waitForReady }),
        },
        pickInformation: {},
        status: status.OK,
        dynamicFilterFactories,
      };
    },
    unref() {},
  };
}

/**
 * grpc-js 1.14 prepares the metadata of a call a moment after its start, and sends it then, also when it was cancelled
 * meanwhile: nobody would ever end that stream. A filter hears of both.
 */
function guardClass(grpc: Experimental): () => CallFilter {
  class CancelGuard extends grpc.BaseFilter {
    #end: StatusObject | undefined;

    override async sendMetadata(metadata: Promise<Metadata>): Promise<Metadata> {
      const ready = await metadata;
      // grpc-js: filters reject with a status.
      if (this.#end !== undefined) throw this.#end;
      return ready;
    }

    override receiveTrailers(end: StatusObject): StatusObject {
      this.#end = end;
      return end;
    }
  }
  return () => new CancelGuard();
}

function durationOf(timeoutMs: number): { readonly seconds: number; readonly nanos: number } {
  const seconds = Math.floor(timeoutMs / 1000);
  return { seconds, nanos: Math.round((timeoutMs - seconds * 1000) * 1_000_000) };
}
