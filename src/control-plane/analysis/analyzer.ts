import type { FieldPath } from '../kinds/view.js';
import type { FindingCode } from './codes.js';
import type { AnalysisDocument } from './document.js';

/** A service that is there without a document. */
export interface RegisteredService {
  /** Its full host name: `reviews.default.svc.cluster.local`. */
  readonly host: string;
  readonly ports: readonly number[];
}

/** A workload that is there without a document. */
export interface RegisteredWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What an analyzer looks at: all documents by kind. */
export interface AnalysisContext {
  /** Documents of a kind in load order; `group` tells Gateway API's Gateway from Istio's. */
  list(kind: string, group?: string): readonly AnalysisDocument[];
  find(kind: string, namespace: string, name: string, group?: string): AnalysisDocument | undefined;
  /** Pods, and those that the templates of Deployments and the like will make. */
  readonly pods: readonly AnalysisDocument[];
  /** Services that no document names: those of workloads that registered. */
  readonly services: readonly RegisteredService[];
  /** Workloads that registered. */
  readonly workloads: readonly RegisteredWorkload[];
  /** Calendar time in milliseconds since 1970: whether certificates are valid. */
  readonly now: number;
}

/** More about a finding than its text. */
export interface FindingDetails {
  /** The way from the document's root to the value; its name by default. */
  readonly path?: FieldPath;
  readonly atKey?: boolean;
  readonly suggestion?: string | undefined;
}

/** Takes what analyzers find. */
export type Report = (
  code: FindingCode,
  document: AnalysisDocument,
  message: string,
  details?: FindingDetails,
) => void;

/** Looks for one sort of mistake between documents. Pure: the same documents give the same findings. */
export interface Analyzer {
  /** Package and type of Istio's analyzer where it has the same one. */
  readonly name: string;
  readonly summary: string;
  /** What it may report. */
  readonly codes: readonly FindingCode[];
  analyze(context: AnalysisContext, report: Report): void;
}

export const NETWORKING = 'networking.istio.io';
export const GATEWAY_API = 'gateway.networking.k8s.io';

/** The name of the document, where findings about it as a whole stand. */
export const NAME_PATH: FieldPath = ['metadata', 'name'];
