import { encodePath, isXdstp, parseResourceName } from '../xds/resource-name.js';

/** Fills a template of gRPC's bootstrap: in `xdstp:` templates the text is encoded for the path of a URI (gRFC A47). */
export function fillTemplate(template: string, text: string): string {
  return template.replaceAll('%s', () => (isXdstp(template) ? encodePath(text) : text));
}

/** Host and port that a listener stands for: its name, or, for an xdstp name, the last part of its path. */
export function hostOfListener(name: string): string {
  const id = isXdstp(name) ? parseResourceName(name)?.id : undefined;
  return id === undefined ? name : id.slice(id.lastIndexOf('/') + 1);
}
