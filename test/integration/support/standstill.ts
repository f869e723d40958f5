/** Lets the event loop go round. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits until a number that this process drives moves no more: every buffer between is full. Returns it. */
export async function standstill(read: () => number): Promise<number> {
  let before = Number.NaN;
  while (read() !== before) {
    before = read();
    await turns(200);
  }
  return before;
}
