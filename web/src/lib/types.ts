/** What the library shows and takes. The frames themselves are in `frames.ts`, generated from the contracts. */
import type { Attachment, ErrorCode, Member, Message, Notification } from "./frames.ts";

export type { Attachment, ErrorCode, Member, Message, Notification };

// ------------------------------------------------------------------------------------------------------ errors

/** Reasons that only a client has; all others are the gateway's. */
export type ClientErrorCode =
  /** The network is away, or the gateway did not answer. */
  | "NETWORK"
  /** `getToken` failed. */
  | "NO_TOKEN"
  /** The chat was disconnected or disposed meanwhile. */
  | "STOPPED";

/** Why something failed, as data: what the state holds, and what is kept with an unsent message. */
export interface Failure {
  readonly code: ErrorCode | ClientErrorCode;
  /** A sentence for people, in English. */
  readonly message: string;
  /** Whether the same may succeed later, unchanged. */
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

// ------------------------------------------------------------------------------------------------------- state

/** A person, as their last token described them. */
export interface Person {
  readonly userId: string;
  readonly userName: string;
  readonly avatar: string | null;
}

export type ConnectionStatus =
  /** A socket is being opened or authenticated. */
  | "connecting"
  /** Authenticated; everything works. */
  | "connected"
  /** The next attempt is at `retryAt`. */
  | "waiting"
  /** The browser says that there is no network; the next attempt is when it is back, or now and then. */
  | "offline"
  /** Not wanted, or refused for good (`reason`): only `connect()` tries again. */
  | "stopped";

export interface Connection {
  readonly status: ConnectionStatus;
  /** Milliseconds since 1970 of the next attempt, while waiting. */
  readonly retryAt: number | null;
  /** Why the last connection ended; null before, and while connected. */
  readonly reason: StopReason | null;
  /** Whether it was ever authenticated since the chat was made. */
  readonly wasConnected: boolean;
}

/** `code` is the WebSocket close code (1006 where there was none), `failure` what was said beside it. */
export interface StopReason {
  readonly code: number;
  readonly reason: string;
  readonly failure: Failure | null;
}

export type ConversationType = "direct" | "group" | "channel";

/** The newest message of a conversation, as far as it is known: a `Message`, or what a notification said of one. */
export interface LastMessage {
  readonly id: string;
  readonly seq: number;
  /** Null where only a notification told of it; it was somebody else then. */
  readonly senderId: string | null;
  readonly senderName: string;
  /** With a notification, its beginning only. */
  readonly content: string;
  readonly createdAt: string;
  readonly isDeleted?: boolean;
  readonly attachments?: readonly Attachment[];
}

/** A conversation in the list. */
export interface Conversation {
  readonly id: string;
  readonly type: ConversationType;
  readonly name: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
  /** ISO 8601: the last message's moment, or that of the creation. The list is sorted by it. */
  readonly lastActivityAt: string;
  readonly lastSeq: number;
  readonly lastMessage: LastMessage | null;
  /** What this person has read, on this device or as far as the gateway knows. */
  readonly lastReadSeq: number;
  /** By user id: how far others have read, as far as it is known. Up to 100 members are told of each other. */
  readonly readers: Readonly<Record<string, number>>;
  readonly unreadCount: number;
  /** The first few; `Room.members` has all that were loaded. */
  readonly members: readonly Member[];
  readonly memberCount: number;
  /** All changes of its messages up to this number are in what this device holds. */
  readonly lastChange?: number;
}

export interface ConversationList {
  /** Newest activity first. */
  readonly items: readonly Conversation[];
  /** At least the first page has come from the gateway since the chat was made; before, `items` is what was kept. */
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
  /** Older conversations exist: `loadMoreConversations()`. */
  readonly hasMore: boolean;
  readonly failure: Failure | null;
}

/** A message of one's own on its way, shown after the stored ones. */
export interface Outgoing {
  /** The same before and after it is stored (`message.tempId`): a key for the list. */
  readonly tempId: string;
  readonly conversationId: string;
  readonly content: string;
  readonly attachments: readonly Attachment[];
  readonly replyTo: string | null;
  /** ISO 8601, by this device's clock. */
  readonly createdAt: string;
  /**
   * - `waiting`: kept until there is a connection, or until the messages before it are stored
   * - `sending`: handed to the gateway, or about to be tried again
   * - `sent`: stored; it moves to `messages` when those before it have come
   * - `failed`: will not be tried again by itself: `retry(tempId)` or `discard(tempId)`
   */
  readonly status: "waiting" | "sending" | "sent" | "failed";
  /** Why the last attempt failed, also while another one is to come. */
  readonly failure: Failure | null;
}

export interface Typist {
  readonly userId: string;
  readonly userName: string;
}

export interface MemberList {
  readonly items: readonly Member[];
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
}

/** Why there is nothing (more) to see in a conversation. */
export type GoneReason = "removed" | "left" | "deleted" | "not_found";

/** A conversation that was opened: its messages, and who types in it. */
export interface Room {
  readonly conversationId: string;
  readonly status: /** Not open; what was loaded stays. */
    | "closed"
    /** Open, and not live yet (or not now: the connection is away). */
    | "joining"
    /** Open and live. */
    | "joined"
    /** This person is not in it any more (`gone`). */
    | "gone";
  readonly gone: GoneReason | null;
  /** Stored messages by rising `seq`, without holes and repeats. */
  readonly messages: readonly Message[];
  /** One's own messages that are not in `messages` yet, in order. */
  readonly outgoing: readonly Outgoing[];
  /** There is something to show: from the gateway, or from what this device kept. */
  readonly isLoaded: boolean;
  /** Older ones exist: `loadOlder(conversationId)`. */
  readonly hasOlder: boolean;
  readonly isLoadingOlder: boolean;
  readonly typing: readonly Typist[];
  readonly members: MemberList;
  readonly draft: string;
}

/** Everything, immutable. What did not change between two snapshots is the same object. */
export interface ChatState {
  readonly connection: Connection;
  /** Null until the first authentication, unless `userId` was given and known on this device. */
  readonly me: Person | null;
  readonly conversations: ConversationList;
  /** By conversation id: those that were opened, and those with unsent messages. */
  readonly rooms: Readonly<Record<string, Room>>;
  /** By user id: those who are watched (`watchPresence`), while there is a connection. Who is missing is not known. */
  readonly presence: Readonly<Record<string, PersonPresence>>;
  /** What this person has chosen; null while it is not known. */
  readonly myPresence: MyPresence | null;
}

/** Somebody as others see them. */
export interface PersonPresence {
  readonly status: "online" | "away" | "busy" | "offline";
  /** ISO 8601: when they were seen last, with `offline` and where they were here before. */
  readonly lastSeenAt: string | null;
}

/**
 * How somebody wants to be seen. `busy` and `invisible` hold for all of their devices, until they choose `online` again;
 * `away` is about one device. Nobody needs to choose it: whoever touches nothing for long is away by themselves.
 */
export type MyPresence = "online" | "away" | "busy" | "invisible";

// ------------------------------------------------------------------------------------------------------ events

/** What happens once, for sounds, toasts and the like. The state already includes it. */
export type ChatEvent =
  /** A message of an open conversation, in order and never twice; `isReplay` when it was missed, not live. */
  | { readonly type: "message"; readonly message: Message; readonly isReplay: boolean }
  /** Something in a conversation that is not open. */
  | { readonly type: "notification"; readonly notification: Notification }
  | {
      readonly type: "typing";
      readonly conversationId: string;
      readonly userId: string;
      readonly userName: string;
    }
  | { readonly type: "stopped_typing"; readonly conversationId: string; readonly userId: string }
  /** This person is not in a conversation any more. */
  | { readonly type: "gone"; readonly conversationId: string; readonly reason: GoneReason }
  /** A message of one's own was refused for good. */
  | { readonly type: "send_failed"; readonly outgoing: Outgoing };

// ----------------------------------------------------------------------------------------------------- options

export interface ChatOptions {
  /** `ws://` or `wss://` address of `/ws/chat`; in a browser the page's own host when left out. */
  url?: string;
  /** Where `/api` is; the host of `url` when left out. */
  restUrl?: string;
  /**
   * A token that is good now: called for every connection, before the token expires, and again with `refused` when the
   * gateway did not take the last one. When it throws `TokenUnavailable`, the chat stops; on any other error it is
   * called again later.
   */
  getToken: (why: { refused: boolean }) => string | Promise<string>;
  /** Whose token it will be, where that is known: what this device kept is then shown before the gateway has answered. */
  userId?: string;
  /** False keeps everything in memory only. */
  storage?: boolean;
  /** How many of the newest messages of a conversation this device keeps. Default 200. */
  keptMessages?: number;
  /** Messages that opening a conversation asks for, and that `loadOlder` does. Default 50. */
  pageSize?: number;
  /** Milliseconds without any input on the page after which this device counts as away. Default 300,000; 0 for never. */
  awayAfter?: number;
}

/** To be thrown by `getToken` when no token can be had without the person, who must sign in again. */
export class TokenUnavailable extends Error {
  override readonly name = "TokenUnavailable";
}

export interface SendOptions {
  attachments?: Attachment[];
  /** Id of the message that this one answers. */
  replyTo?: string;
}

export interface NewConversation {
  type: ConversationType;
  /** For groups and channels. */
  name?: string;
  memberIds: string[];
}

// ------------------------------------------------------------------------------------------------------- store

/** The store: state, and everything a person can do. Promises reject with `ChatError`. */
export interface Chat {
  getSnapshot(): ChatState;
  /** Called after every change; returns its end. */
  subscribe(listener: () => void): () => void;
  /** Called for everything that happens once; returns its end. */
  listen(listener: (event: ChatEvent) => void): () => void;

  /** Connect, and stay connected. While waiting or offline: try now. */
  connect(): void;
  /** Close the connection and stay so. Unsent messages are kept. */
  disconnect(): void;
  /** Disconnect and wipe all that this device kept of this person, unsent messages included. Ends this chat. */
  signOut(): Promise<void>;
  /** Disconnect and let go of everything; what this device kept stays. Ends this chat. */
  dispose(): void;

  loadMoreConversations(): Promise<void>;
  /** Fetch one that is not in the list, as from a link. */
  loadConversation(conversationId: string): Promise<Conversation>;

  /** Be live in a conversation, for as long as anybody who opened it has not called the returned end. */
  open(conversationId: string): () => void;
  loadOlder(conversationId: string): Promise<void>;
  /**
   * This person has seen everything up to `seq` (default: the newest). To be called as often as one likes, while the
   * messages are really in sight; told to the gateway once a second at most, and later where there is no connection.
   */
  markRead(conversationId: string, seq?: number): void;
  /** Who else has read a message; in conversations of up to 100 people, else `FORBIDDEN`. */
  loadReaders(conversationId: string, messageId: string): Promise<Person[]>;

  /** Be told in `presence` of people who are on screen, until the returned function is called; 500 at most in all. */
  watchPresence(userIds: readonly string[]): () => void;
  /** In `myPresence` at once; told to the gateway as soon as there is a connection. */
  setPresence(status: MyPresence): void;

  /**
   * Send, now or as soon as there is a connection; returns the `tempId` that it is known by from now on. The outcome is in
   * `rooms[id].outgoing`, then in `messages`. Throws `ChatError` CONTENT_EMPTY; a content that is too long is there as failed.
   */
  send(conversationId: string, content: string, options?: SendOptions): string;
  /** Give a message of one's own another content. Resolves when it is stored; everybody is told. */
  edit(conversationId: string, messageId: string, content: string): Promise<void>;
  /** Empty a message: one's own, or as an admin any. */
  deleteMessage(conversationId: string, messageId: string): Promise<void>;
  /** Put one emoji on a message, or take it back. It shows at once, and goes again when it is refused. */
  react(conversationId: string, messageId: string, emoji: string, isPresent: boolean): Promise<void>;
  /** Try a failed message again, as the same message. */
  retry(tempId: string): void;
  /** Drop a failed or waiting message. */
  discard(tempId: string): void;

  /** To be called for every keystroke; it is told to the others as seldom as possible, and ends by itself. */
  startTyping(conversationId: string): void;
  stopTyping(conversationId: string): void;
  setDraft(conversationId: string, text: string): void;

  searchPeople(query: string): Promise<Person[]>;
  createConversation(wanted: NewConversation): Promise<Conversation>;
  rename(conversationId: string, name: string): Promise<void>;
  addMembers(conversationId: string, userIds: string[]): Promise<void>;
  removeMember(conversationId: string, userId: string): Promise<void>;
  /** Give up one's membership. */
  leave(conversationId: string): Promise<void>;
  deleteConversation(conversationId: string): Promise<void>;
  /** The first page of members, or the next; in `rooms[id].members`. */
  loadMembers(conversationId: string): Promise<void>;
}

// -------------------------------------------------------------------------------------------------------- hook

/** `connected` means authenticated as well; `error`: refused for good, see `state.connection.reason`. */
export type ConnectionState = "disconnected" | "connecting" | "connected" | "reconnecting" | "error";

export interface UseWebSocketChatOptions {
  /** Each message of a joined conversation once, in order: first those that exist, then as they come. */
  onNewMessage?: (message: Message) => void;
  onUserTyping?: (typist: { conversationId: string; userId: string; userName: string }) => void;
  onUserStoppedTyping?: (typist: { conversationId: string; userId: string }) => void;
  /** Connect when mounted. Default true. */
  autoConnect?: boolean;
  /** Which chat; otherwise that of `ChatProvider`, otherwise the one of `configureChat`. */
  chat?: Chat;
}

export interface UseWebSocketChat {
  connectionState: ConnectionState;
  isConnected: boolean;
  isAuthenticated: boolean;
  joinedConversations: ReadonlySet<string>;
  connect: () => void;
  disconnect: () => void;
  joinConversation: (conversationId: string) => void;
  leaveConversation: (conversationId: string) => void;
  /** Returns the `tempId`. */
  sendChatMessage: (conversationId: string, content: string, options?: SendOptions) => string;
  startTyping: (conversationId: string) => void;
  stopTyping: (conversationId: string) => void;
  /** This person sees everything up to `seq`, or the newest. */
  markRead: (conversationId: string, seq?: number) => void;
  /** By user id, of those whom `usePresence` or `watchPresence` names. */
  presence: ChatState["presence"];
  myPresence: MyPresence | null;
  setPresence: (status: MyPresence) => void;
  watchPresence: (userIds: readonly string[]) => () => void;
  /** Everything else: the whole state, and the store with all that can be done. */
  state: ChatState;
  chat: Chat;
}
