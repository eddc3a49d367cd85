/** Whether somebody sits before this device: told when they have fallen still, and when they stir again. */

/** `stirred` is called with every sign of life; returns the end. Null where nobody can sit, as in Node. */
export type WatchInput = (stirred: () => void) => (() => void) | null;

/** `after` milliseconds without a sign of life count as being away; 0 never does. */
export function watchIdle(watch: WatchInput, after: number, told: (isIdle: boolean) => void): () => void {
  let last = Date.now();
  let isIdle = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function become(is: boolean): void {
    isIdle = is;
    told(is);
  }

  // Input comes by the hundred: it only writes the time down, and one timer looks at that.
  function look(): void {
    const left = last + after - Date.now();
    if (left > 0) timer = setTimeout(look, left);
    else become(true);
  }

  function stirred(): void {
    last = Date.now();
    if (!isIdle) return;
    become(false);
    look();
  }

  const end = after > 0 ? watch(stirred) : null;
  if (end) look();
  return () => {
    end?.();
    clearTimeout(timer);
  };
}
