export type { ConfigView, Document, FieldPath, KindName, KindSpecs, Origin } from '../kinds/view.js';
