/** Whether documents of a namespace with this `exportTo` are seen by clients of another one. Unset = everywhere. */
export function isExported(
  exportTo: readonly string[] | undefined,
  from: string,
  clientNamespace: string,
): boolean {
  if (exportTo === undefined || exportTo.length === 0) return true;
  return exportTo.some(
    (target) => target === '*' || target === clientNamespace || (target === '.' && from === clientNamespace),
  );
}

/** Whether labels hold everything that a selector names. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
