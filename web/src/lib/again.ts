/** What was asked for and failed is asked for again: in a while, which grows, and at once with the next connection. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { failureOf } from "./errors.ts";
import { roomOf } from "./state.ts";

const RETRY: Backoff = { base: 2000, cap: 60_000 };

export interface Again {
  /** What was asked for of a conversation did not come. */
  failed(conversationId: string, error: unknown): void;
  /** It came, by whoever's call. */
  came(conversationId: string): void;
  connected(): void;
  dispose(): void;
}

interface Missing {
  failures: number;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

/** `ask` tells of its success and its failure by itself. */
export function createAgain(context: Context, ask: (conversationId: string) => Promise<void>): Again {
  const missing = new Map<string, Missing>();

  function came(id: string): void {
    clearTimeout(missing.get(id)?.timer);
    missing.delete(id);
  }

  function now(id: string): void {
    // What one is not in any more is not to be had; whoever is back looks at it anew.
    if (roomOf(context.store.get(), id).gone) came(id);
    else ask(id).catch(() => {});
  }

  return {
    failed(id, error) {
      const { retryable, retryAfterMs } = failureOf(error);
      const known = missing.get(id) ?? { failures: 0 };
      missing.set(id, known);
      clearTimeout(known.timer);
      if (!retryable || !context.isConnected()) return;
      known.timer = setTimeout(() => now(id), retryAfterMs ?? delayOf(known.failures++, RETRY));
    },
    came,
    connected() {
      for (const [id, { timer }] of missing) {
        clearTimeout(timer);
        now(id);
      }
    },
    dispose() {
      for (const { timer } of missing.values()) clearTimeout(timer);
    },
  };
}
