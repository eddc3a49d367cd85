import type { Chat, ChatOptions } from "./types.ts";

export function createChat(_options: ChatOptions): Chat {
  throw new Error("not written yet");
}
