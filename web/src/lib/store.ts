/** A value that changes as a whole, and whoever wants to know. */
export interface Store<State> {
  get(): State;
  set(next: State): void;
  subscribe(listener: () => void): () => void;
  /** Listeners hear of all changes within `work` once, at its end. */
  batch<Result>(work: () => Result): Result;
}

export function createStore<State>(state: State): Store<State> {
  const listeners = new Set<(nothing: undefined) => void>();
  let depth = 0;
  let isChanged = false;

  function tell(): void {
    if (depth > 0 || !isChanged) return;
    isChanged = false;
    callAll(listeners, undefined);
  }

  return {
    get: () => state,
    set(next) {
      if (next === state) return;
      state = next;
      isChanged = true;
      tell();
    },
    subscribe: (listener) => addListener(listeners, listener),
    batch(work) {
      depth++;
      try {
        return work();
      } finally {
        depth--;
        tell();
      }
    },
  };
}

/** Returns the end of it. One function may listen twice. */
export function addListener<Told>(
  listeners: Set<(told: Told) => void>,
  listener: (told: Told) => void,
): () => void {
  const own = (told: Told) => listener(told);
  listeners.add(own);
  return () => listeners.delete(own);
}

/** What one listener throws is its own fault: it is reported like any uncaught error, and stops nobody else. */
export function callAll<Told>(listeners: ReadonlySet<(told: Told) => void>, told: Told): void {
  for (const listener of [...listeners])
    try {
      listener(told);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
}
