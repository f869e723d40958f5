import type { ParentReference } from '../kinds/gateway-api/types.js';
import type { Condition } from './condition.js';
import type { RouteGroupKind } from './listeners.js';

/** The status of one listener. */
export interface ListenerStatus {
  readonly name: string;
  readonly supportedKinds: readonly RouteGroupKind[];
  /** How many routes are attached to it. */
  readonly attachedRoutes: number;
  readonly conditions: readonly Condition[];
}

/** What one controller says of a route towards one of its parents. */
export interface RouteParentStatus {
  readonly parentRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** What one controller says of a policy at one of those that it is followed by. */
export interface PolicyAncestorStatus {
  readonly ancestorRef: ParentReference;
  readonly controllerName: string;
  readonly conditions: readonly Condition[];
}

/** The status of an object of the Gateway API, as Kubernetes shows it but for times. */
export interface GatewayApiStatus {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly status: {
    readonly conditions?: readonly Condition[];
    readonly listeners?: readonly ListenerStatus[];
    readonly addresses?: readonly { readonly type: string; readonly value: string }[];
    readonly attachedListenerSets?: number;
    readonly parents?: readonly RouteParentStatus[];
    readonly ancestors?: readonly PolicyAncestorStatus[];
  };
}

/** What a status says. */
export type ObjectStatus = GatewayApiStatus['status'];
