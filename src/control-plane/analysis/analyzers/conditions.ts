import type { Analyzer } from '../analyzer.js';
import { list, text } from '../plain.js';

/** Istio: conditions.ConditionAnalyzer. */
export const conditionsAnalyzer: Analyzer = {
  name: 'conditions.ConditionAnalyzer',
  summary: 'conditions of the status that are False',
  codes: ['IST0171'],
  analyze(context, report) {
    for (const kind of ['Service', 'ServiceEntry', 'AuthorizationPolicy']) {
      for (const document of context.list(kind)) {
        for (const [index, condition] of list(document.value, 'status', 'conditions').entries()) {
          if (text(condition, 'status') !== 'False') continue;
          const [type, reason, said] = ['type', 'reason', 'message'].map((name) => text(condition, name));
          report('IST0171', document, `the condition ${type} is False: ${reason}: ${said}`, {
            path: ['status', 'conditions', index],
          });
        }
      }
    }
  },
};
