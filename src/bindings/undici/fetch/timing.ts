/** Times and sizes of one fetch, in the form that `performance.markResourceTiming` takes. */
export interface FetchTiming {
  startTime: number;
  redirectStartTime: number;
  redirectEndTime: number;
  postRedirectStartTime: number;
  finalServiceWorkerStartTime: number;
  finalNetworkResponseStartTime: number;
  finalNetworkRequestStartTime: number;
  endTime: number;
  encodedBodySize: number;
  decodedBodySize: number;
  finalConnectionTimingInfo: object | null;
}

/** Not in the types: Node has it for its own fetch. */
type MarkResourceTiming = (
  timing: FetchTiming,
  url: string,
  initiator: string,
  global: unknown,
  cacheState: string,
  bodyType: string,
  status: number,
) => void;

const { markResourceTiming } = performance as unknown as { markResourceTiming?: MarkResourceTiming };

export function startTiming(): FetchTiming {
  const now = performance.now();
  return {
    startTime: now,
    redirectStartTime: 0,
    redirectEndTime: 0,
    postRedirectStartTime: now,
    finalServiceWorkerStartTime: 0,
    finalNetworkResponseStartTime: 0,
    finalNetworkRequestStartTime: 0,
    endTime: 0,
    encodedBodySize: 0,
    decodedBodySize: 0,
    finalConnectionTimingInfo: null,
  };
}

/** A connection took the request. */
export function requestStarted(timing: FetchTiming): void {
  const at = timing.postRedirectStartTime;
  timing.finalConnectionTimingInfo = {
    domainLookupStartTime: at,
    domainLookupEndTime: at,
    connectionStartTime: at,
    connectionEndTime: at,
    secureConnectionStartTime: at,
    ALPNNegotiatedProtocol: undefined,
  };
  timing.finalNetworkRequestStartTime = performance.now();
}

export function redirected(timing: FetchTiming): void {
  timing.redirectEndTime = performance.now();
  timing.postRedirectStartTime = timing.redirectEndTime;
  if (timing.redirectStartTime === 0) timing.redirectStartTime = timing.startTime;
}

/** Makes the fetch a resource of the performance timeline, as undici's fetch does. */
export function reportTiming(timing: FetchTiming, url: URL, status: number): void {
  timing.endTime = performance.now();
  markResourceTiming?.call(performance, timing, url.href, 'fetch', globalThis, '', '', status);
}
