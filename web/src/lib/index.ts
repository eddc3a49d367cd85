/** Palabre's client library: `createChat` without React, `useWebSocketChat` with it. */

export { createChat } from "./chat.ts";
export { ChatError } from "./errors.ts";
export type * from "./types.ts";
export { TokenUnavailable } from "./types.ts";
export { ChatProvider, configureChat, useChatState, useWebSocketChat } from "./useWebSocketChat.ts";
