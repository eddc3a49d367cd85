/** Palabre's client library for React: all of `index.ts`, and the hook. */

export * from "./index.ts";
export {
  ChatProvider,
  configureChat,
  useChatState,
  usePresence,
  useWebSocketChat,
} from "./useWebSocketChat.ts";
