/** The React hook over a chat. It holds no state of its own but what its component joined. */
import {
  createContext,
  createElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
} from "react";
import { createChat } from "./chat.ts";
import { renderingOf } from "./rendering.ts";
import type {
  Chat,
  ChatOptions,
  ChatState,
  Connection,
  ConnectionState,
  PersonPresence,
  SendOptions,
  UseWebSocketChat,
  UseWebSocketChatOptions,
} from "./types.ts";

const Provided = createContext<Chat | null>(null);
let configured: Chat | null = null;

/** The chat of every hook below. */
export function ChatProvider({ chat, children }: { chat: Chat; children?: ReactNode }) {
  return createElement(Provided.Provider, { value: chat }, children);
}

/** The chat of every hook without a provider: to be called once, before anything is rendered. */
export function configureChat(options: ChatOptions): Chat {
  configured?.dispose();
  configured = createChat(options);
  return configured;
}

/** A part of the state; the component is rendered again only when this part is another one. */
export function useChatState<Part>(select: (state: ChatState) => Part, chat?: Chat): Part {
  const chosen = useChat(chat);
  const selected = () => select(chosen.getSnapshot());
  return useSyncExternalStore(renderingOf(chosen), selected, selected);
}

export function useWebSocketChat(options: UseWebSocketChatOptions = {}): UseWebSocketChat {
  const { autoConnect = true } = options;
  const chat = useChat(options.chat);
  const state = useSyncExternalStore(renderingOf(chat), chat.getSnapshot, chat.getSnapshot);
  const { rooms } = state;
  const joinedConversations = useMemo(() => joinedIn(rooms), [rooms]);
  const isConnected = state.connection.status === "connected";
  const { join, leave } = useJoined(chat, options, isConnected);

  useEffect(() => {
    if (autoConnect) chat.connect();
  }, [chat, autoConnect]);

  const send = useCallback(
    (conversationId: string, content: string, more?: SendOptions) => chat.send(conversationId, content, more),
    [chat],
  );
  return {
    connectionState: inSeedWords(state.connection),
    isConnected,
    isAuthenticated: isConnected,
    joinedConversations,
    connect: chat.connect,
    disconnect: chat.disconnect,
    joinConversation: join,
    leaveConversation: leave,
    sendChatMessage: send,
    startTyping: chat.startTyping,
    stopTyping: chat.stopTyping,
    editMessage: chat.editMessage,
    deleteMessage: chat.deleteMessage,
    addReaction: chat.addReaction,
    removeReaction: chat.removeReaction,
    openThread: chat.openThread,
    markRead: chat.markRead,
    presence: state.presence,
    myPresence: state.myPresence,
    setPresence: chat.setPresence,
    watchPresence: chat.watchPresence,
    search: chat.search,
    openAt: chat.openAt,
    backToLive: chat.backToLive,
    state,
    chat,
  };
}

/** How somebody is seen, who is watched for as long as the component shows them; null where that is not known. */
export function usePresence(userId: string | null, chat?: Chat): PersonPresence | null {
  const { watchPresence } = useChat(chat);
  useEffect(() => (userId === null ? undefined : watchPresence([userId])), [watchPresence, userId]);
  return useChatState((state) => (userId === null ? null : (state.presence[userId] ?? null)), chat);
}

function useChat(chosen?: Chat): Chat {
  const provided = useContext(Provided);
  const chat = chosen ?? provided ?? configured;
  if (!chat)
    throw new Error(
      "useWebSocketChat: no chat. Call configureChat({ getToken }) before rendering, or use ChatProvider.",
    );
  return chat;
}

/**
 * The conversations that this component has open, and its callbacks for them.
 *
 * A page written for the first version of this hook leaves and joins again with every reconnection, and appends every
 * message that it is given. So what was delivered is remembered while the connection is away, and nothing comes twice;
 * whoever leaves while connected, and joins again, is given the messages anew.
 */
function useJoined(chat: Chat, options: UseWebSocketChatOptions, isConnected: boolean) {
  const callbacks = useRef(options);
  // As it was last rendered: what the page leaves because of an older state, it leaves for that state.
  const wasConnected = useRef(isConnected);
  const held = useRef(new Map<string, () => void>());
  const delivered = useRef(new Map<string, number>());

  useLayoutEffect(() => {
    callbacks.current = options;
    wasConnected.current = isConnected;
  });

  const deliver = useCallback(() => {
    const { rooms } = chat.getSnapshot();
    for (const id of held.current.keys()) {
      const messages = rooms[id]?.messages ?? [];
      const after = delivered.current.get(id) ?? 0;
      const fresh = messages.slice(messages.findLastIndex(({ seq }) => seq <= after) + 1);
      const last = fresh.at(-1);
      if (!last) continue;
      delivered.current.set(id, last.seq);
      for (const message of fresh) callbacks.current.onNewMessage?.(message);
    }
  }, [chat]);

  useEffect(() => {
    const open = held.current;
    const unsubscribe = chat.subscribe(deliver);
    const unlisten = chat.listen((event) => {
      if (event.type === "typing" && open.has(event.conversationId)) callbacks.current.onUserTyping?.(event);
      if (event.type === "stopped_typing" && open.has(event.conversationId))
        callbacks.current.onUserStoppedTyping?.(event);
    });
    return () => {
      unsubscribe();
      unlisten();
      for (const close of open.values()) close();
      open.clear();
    };
  }, [chat, deliver]);

  const join = useCallback(
    (id: string) => {
      if (held.current.has(id)) return;
      held.current.set(id, chat.open(id));
      // Not at once: the page may be about to leave again, as one that React mounts twice.
      queueMicrotask(deliver);
    },
    [chat, deliver],
  );
  const leave = useCallback((id: string) => {
    const close = held.current.get(id);
    if (!close) return; // also what the page leaves once more when it is connected again
    close();
    held.current.delete(id);
    if (wasConnected.current) delivered.current.delete(id);
  }, []);
  return { join, leave };
}

function joinedIn(rooms: ChatState["rooms"]): ReadonlySet<string> {
  const joined = Object.values(rooms).filter(({ status }) => status === "joined");
  return new Set(joined.map(({ conversationId }) => conversationId));
}

function inSeedWords({ status, reason, wasConnected }: Connection): ConnectionState {
  switch (status) {
    case "connected":
      return "connected";
    case "connecting":
      return wasConnected ? "reconnecting" : "connecting";
    case "stopped":
      return reason ? "error" : "disconnected";
    default:
      return "reconnecting";
  }
}
