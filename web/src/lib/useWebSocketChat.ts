import { createContext } from "react";
import type { Chat, ChatOptions, UseWebSocketChat, UseWebSocketChatOptions } from "./types.ts";

/** `<ChatProvider value={chat}>`: the chat of every `useWebSocketChat` below it. */
export const ChatProvider = createContext<Chat | null>(null);

export function configureChat(_options: ChatOptions): Chat {
  throw new Error("not written yet");
}

export function useWebSocketChat(_options: UseWebSocketChatOptions = {}): UseWebSocketChat {
  throw new Error("not written yet");
}
