/** What a browser tells about its network and its page. Elsewhere, as in Node, nothing is ever told. */
import type { WatchInput } from "./idle.ts";

export interface Surroundings {
  /** False only where the browser is sure. */
  isOnline(): boolean;
  /** Calls back when the network seems to come or go, and when somebody looks at the page again; returns the end. */
  watch(told: (what: "online" | "offline" | "visible") => void): () => void;
  /** Calls back when the page may be about to end; returns the end. */
  beforeEnd(called: () => void): () => void;
  watchInput: WatchInput;
}

const INPUT = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "focus"] as const;

export function browserSurroundings(): Surroundings {
  const page = typeof document === "undefined" ? null : document;
  const frame = typeof window === "undefined" ? null : window;
  return {
    isOnline: () => globalThis.navigator?.onLine !== false,
    watch(told) {
      const ending = new AbortController();
      const options = { signal: ending.signal };
      frame?.addEventListener("online", () => told("online"), options);
      frame?.addEventListener("offline", () => told("offline"), options);
      // A page that returns from the back/forward cache or from being frozen has lost its connection without a word.
      frame?.addEventListener("pageshow", (event) => event.persisted && told("visible"), options);
      page?.addEventListener("resume", () => told("visible"), options);
      page?.addEventListener(
        "visibilitychange",
        () => page.visibilityState === "visible" && told("visible"),
        options,
      );
      return () => ending.abort();
    },
    beforeEnd(called) {
      const ending = new AbortController();
      const options = { signal: ending.signal };
      frame?.addEventListener("pagehide", called, options);
      page?.addEventListener(
        "visibilitychange",
        () => page.visibilityState === "hidden" && called(),
        options,
      );
      return () => ending.abort();
    },
    watchInput(stirred) {
      if (!frame || !page) return null;
      const ending = new AbortController();
      const options = { signal: ending.signal, passive: true, capture: true };
      for (const kind of INPUT) frame.addEventListener(kind, stirred, options);
      page.addEventListener(
        "visibilitychange",
        () => page.visibilityState === "visible" && stirred(),
        options,
      );
      return () => ending.abort();
    },
  };
}
