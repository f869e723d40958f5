import {
  connectivityState,
  type experimental,
  type InterceptingListener,
  type Metadata,
  status,
} from '@grpc/grpc-js';
import { messageOf } from '../../runtime/errors.js';
import type { Experimental } from './adapter.js';
import { MeshCall } from './client-call.js';
import { FramedPlace } from './framed-place.js';

type Helper = experimental.ChannelControlHelper;
type Subchannel = ReturnType<experimental.SubchannelInterface['getRealSubchannel']>;

/** Name of the policy, in the service config that our resolver gives. */
export const POLICY = 'inmesh';

/** Where the resolver leaves the place of the calls: grpc-js keeps such attributes from the subchannels. */
export const PLACE_ATTRIBUTE = 'grpc.internal.no_subchannel.inmesh_place';

let isRegistered = false;

/**
 * Makes grpc-js know a balancing policy of one "subchannel" that is the mesh: whatever call is given to it goes through the
 * outbound stack, which chooses endpoint, route, retries and the rest.
 */
export function registerMeshBalancer(grpc: Experimental): void {
  if (isRegistered) return;
  isRegistered = true;
  const MeshSubchannel = meshSubchannelClass(grpc);

  class MeshBalancer implements experimental.LoadBalancer {
    readonly #helper: Helper;
    #place: FramedPlace | undefined;
    #subchannel: InstanceType<typeof MeshSubchannel> | undefined;
    #isWaiting = false;
    #isDestroyed = false;

    constructor(helper: Helper) {
      this.#helper = helper;
    }

    updateAddressList(_endpoints: unknown, _config: unknown, options: Record<string, unknown>): boolean {
      const place = options[PLACE_ATTRIBUTE];
      // Whoever names this policy without our resolver.
      if (!(place instanceof FramedPlace)) return false;
      if (this.#place === place) return true;
      this.#place = place;
      this.#subchannel?.unref();
      // It never connects; credentials of calls that came with the channel are known to it.
      const child = this.#helper.createSubchannel({ host: place.target, port: 0 }, {});
      this.#subchannel = new MeshSubchannel(child, place);
      this.#subchannel.ref();
      this.exitIdle();
      return true;
    }

    exitIdle(): void {
      const place = this.#place;
      if (place === undefined || this.#isWaiting || this.#isDestroyed) return;
      if (!place.isUnknown) {
        this.#ready();
        return;
      }
      this.#isWaiting = true;
      this.#helper.updateState(connectivityState.CONNECTING, new grpc.QueuePicker(this), null);
      place.core.whenConfigured(place.origin).then(
        () => this.#configured(),
        (error: unknown) => this.#unavailable(messageOf(error)),
      );
    }

    resetBackoff(): void {}

    destroy(): void {
      this.#isDestroyed = true;
      this.#subchannel?.unref();
    }

    getTypeName(): string {
      return POLICY;
    }

    #configured(): void {
      this.#isWaiting = false;
      if (!this.#isDestroyed) this.#ready();
    }

    #ready(): void {
      const subchannel = this.#subchannel;
      if (subchannel === undefined) return;
      const picked: experimental.PickResult = {
        pickResultType: grpc.PickResultType.COMPLETE,
        subchannel,
        status: null,
        onCallStarted: null,
        onCallEnded: null,
      };
      this.#helper.updateState(connectivityState.READY, { pick: () => picked }, null);
    }

    #unavailable(details: string): void {
      this.#isWaiting = false;
      if (this.#isDestroyed) return;
      const picker = new grpc.UnavailablePicker({ code: status.UNAVAILABLE, details });
      this.#helper.updateState(connectivityState.TRANSIENT_FAILURE, picker, details);
      // A call may ask again.
      this.#place?.core.clock.schedule(LOOK_MS, () => this.exitIdle());
    }
  }

  grpc.registerLoadBalancerType(POLICY, MeshBalancer, MeshBalancingConfig);
}

/** How often it is looked for a configuration that did not come in time. */
const LOOK_MS = 1000;

class MeshBalancingConfig implements experimental.TypedLoadBalancingConfig {
  getLoadBalancerName(): string {
    return POLICY;
  }

  toJsonObject(): object {
    return { [POLICY]: {} };
  }

  static createFromJson(): MeshBalancingConfig {
    return new MeshBalancingConfig();
  }
}

let numbers = 0;

/** What grpc-js uses of a connection that was picked: nothing but this. */
type Connection = Pick<Subchannel, 'createCall'>;

/** What is asked of a connection: a call. Its metadata is complete, its messages are framed. */
class MeshConnection implements Connection {
  readonly #place: FramedPlace;

  constructor(place: FramedPlace) {
    this.#place = place;
  }

  createCall(
    metadata: Metadata,
    authority: string,
    method: string,
    listener: InterceptingListener,
    number: number = numbers++,
  ): MeshCall {
    const deadline = Number.POSITIVE_INFINITY;
    const { retry } = this.#place.settings(method);
    const call = new MeshCall(this.#place, { method, authority, deadline, number, retry });
    call.start(metadata, listener);
    return call;
  }
}

function meshSubchannelClass(grpc: Experimental) {
  return class MeshSubchannel extends grpc.BaseSubchannelWrapper {
    readonly #connection: Connection;

    constructor(child: experimental.SubchannelInterface, place: FramedPlace) {
      super(child);
      this.#connection = new MeshConnection(place);
    }

    override getConnectivityState(): connectivityState {
      return connectivityState.READY;
    }

    override startConnecting(): void {}

    override getRealSubchannel(): Subchannel {
      // The rest of the class is for policies that connect; grpc-js calls `createCall` of what it gets here.
      return this.#connection as Subchannel;
    }
  };
}
