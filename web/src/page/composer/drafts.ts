/** What was begun and not sent, per person and conversation, on this device. */
import { useSyncExternalStore } from "react";

const PREFIX = "palabre.draft";
const listeners = new Set<() => void>();

const keyOf = (userId: string, conversationId: string) => `${PREFIX}.${userId}.${conversationId}`;

export function draftOf(userId: string, conversationId: string): string {
  return localStorage.getItem(keyOf(userId, conversationId)) ?? "";
}

export function keepDraft(userId: string, conversationId: string, text: string): void {
  if (text.trim()) localStorage.setItem(keyOf(userId, conversationId), text);
  else localStorage.removeItem(keyOf(userId, conversationId));
  for (const listener of listeners) listener();
}

/** The draft as it changes, in this tab or another one. */
export function useDraft(userId: string, conversationId: string): string {
  return useSyncExternalStore(subscribe, () => draftOf(userId, conversationId));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", listener);
  };
}
