/** Waits for conditions, with a deadline; never for a time. */

export const DEADLINE = 5000;

/** The first value that is neither false nor null nor undefined. */
export async function eventually<Value>(
  look: () => Value | false | null | undefined,
  what = look.toString(),
  deadline = DEADLINE,
): Promise<Value> {
  const end = performance.now() + deadline;
  for (;;) {
    const found = look();
    if (found !== false && found !== null && found !== undefined) return found;
    if (performance.now() > end) throw new Error(`not within ${deadline} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
