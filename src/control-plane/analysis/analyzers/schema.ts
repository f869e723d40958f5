import { type Analyzer, NETWORKING } from '../analyzer.js';
import { reportUnreachable } from './unreachable-routes.js';

/**
 * What Istio's validation of VirtualServices says about routes that get nothing (schema.ValidationAnalyzer). What
 * breaks a rule of its kind (IST0106, IST0133) is found when documents are read.
 */
export const unreachableAnalyzer: Analyzer = {
  name: 'schema.ValidationAnalyzer.VirtualService',
  summary: 'routes and matches that get nothing',
  codes: ['IST0130', 'IST0131'],
  analyze(context, report) {
    for (const document of context.list('VirtualService', NETWORKING)) reportUnreachable(document, report);
  },
};
