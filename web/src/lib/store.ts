/** A value that changes as a whole, and whoever wants to know. */
export interface Store<State> {
  get(): State;
  set(next: State): void;
  subscribe(listener: () => void): () => void;
  /** Listeners hear of all changes within `work` once, at its end. */
  batch<Result>(work: () => Result): Result;
}

export function createStore<State>(state: State): Store<State> {
  const listeners = new Set<() => void>();
  let depth = 0;
  let isChanged = false;

  function tell(): void {
    if (depth > 0 || !isChanged) return;
    isChanged = false;
    for (const listener of [...listeners]) listener();
  }

  return {
    get: () => state,
    set(next) {
      if (next === state) return;
      state = next;
      isChanged = true;
      tell();
    },
    subscribe(listener) {
      // Wrapped, so that one function may subscribe twice.
      const own = () => listener();
      listeners.add(own);
      return () => listeners.delete(own);
    },
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
