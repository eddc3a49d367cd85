/** Which day it is: "today" and "yesterday" are other days after midnight. */
import { useSyncExternalStore } from "react";
import { dayKey } from "./time.ts";

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout>;

/** The current day; whatever says a time in words of days is drawn anew with the next one. */
export function useToday(): string {
  return useSyncExternalStore(subscribe, () => dayKey(new Date()));
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) {
    wait();
    // A device that slept has missed its midnight.
    document.addEventListener("visibilitychange", look);
  }
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

function look(): void {
  wait();
  for (const listener of listeners) listener();
}

function wait(): void {
  const now = new Date();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
  clearTimeout(timer);
  timer = setTimeout(look, midnight.getTime() - now.getTime());
}
