/** Which conversation is open is written in the address, so that Back, reload and links work. */
import { useSyncExternalStore } from "react";
import { addressOf } from "./conversations/ConversationItem.tsx";

const PATTERN = /^#\/c\/(.+)$/;

function current(): string | null {
  const found = PATTERN.exec(location.hash)?.[1];
  try {
    return found ? decodeURIComponent(found) : null;
  } catch {
    return null; // somebody typed an address that is none
  }
}

export function useOpenConversation(): string | null {
  return useSyncExternalStore((listener) => {
    window.addEventListener("hashchange", listener);
    return () => window.removeEventListener("hashchange", listener);
  }, current);
}

export function openConversation(conversationId: string | null): void {
  location.hash = conversationId ? addressOf(conversationId) : "#/";
}
