/** What the library shows and takes. The frames themselves are in `frames.ts`, generated from the contracts. */
import type { Attachment, ErrorCode, Member, Message, Notification, Quote } from "./frames.ts";

export type { Attachment, ErrorCode, Member, Message, Notification, Quote };

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

export type Role = Member["role"];

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
  readonly mentions?: readonly string[];
  readonly mentionAll?: boolean;
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
  /** How many of these mention this person, as far as is known. */
  readonly unreadMentions: number;
  /** The first few; `Room.members` has all that were loaded. */
  readonly members: readonly Member[];
  readonly memberCount: number;
  /** This person's own: `may(action, conversation)` says what it allows. */
  readonly role: Role;
  /** A channel that anybody finds and joins. */
  readonly isPublic: boolean;
  /** ISO 8601: since when it can be read, not changed; null while it is open. */
  readonly closedAt: string | null;
  /** For this person: without notifications but for mentions. */
  readonly isMuted: boolean;
  /** For this person, until a newer message comes; with `isMuted` until they say otherwise. */
  readonly isArchived: boolean;
}

export interface ConversationList {
  /** Newest activity first. Those that are archived are among them as far as `loadArchived()` has brought them. */
  readonly items: readonly Conversation[];
  /** At least the first page has come from the gateway since the chat was made; before, `items` is what was kept. */
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
  /** Older conversations exist: `loadMoreConversations()`. */
  readonly hasMore: boolean;
  /** More that are archived may exist: `loadArchived()`. */
  readonly hasMoreArchived: boolean;
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
  /** What it replies to, as far as that is here. */
  readonly reply: Quote | null;
  /** User ids. */
  readonly mentions: readonly string[];
  readonly mentionAll: boolean;
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

/** A message that was begun and not sent. */
export interface Draft {
  readonly text: string;
  /** What it replies to; null where that was not chosen. */
  readonly reply: Quote | null;
}

/** A message and all replies to it. */
export interface Thread {
  readonly messageId: string;
  /** Null until it has come. */
  readonly parent: Message | null;
  /** By rising `seq`; all of them once `isLoaded`. */
  readonly replies: readonly Message[];
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
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

/** A pinned message. */
export interface Pin {
  readonly message: Message;
  /** A user id. */
  readonly pinnedBy: string;
  readonly pinnedAt: string;
}

/** After `loadPins(conversationId)`; the newest pin first. */
export interface PinList {
  readonly items: readonly Pin[];
  readonly isLoaded: boolean;
}

/** Messages around one that was jumped to. It grows with `loadOlder` and `loadNewer`, until it reaches the live end. */
export interface Excerpt {
  /** What was jumped to. */
  readonly seq: number;
  /** By rising `seq`. */
  readonly messages: readonly Message[];
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;
}

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
  /**
   * Stored messages by rising `seq`, without holes and repeats, as they are now: what this person does to them shows
   * at once, and is taken back when the gateway refuses it (`change_failed`).
   */
  readonly messages: readonly Message[];
  /** What is to be shown in place of `messages`, between `openAt` and the return to the live end; else null. */
  readonly excerpt: Excerpt | null;
  /** One's own messages that are not in `messages` yet, in order. */
  readonly outgoing: readonly Outgoing[];
  /** There is something to show: from the gateway, or from what this device kept. */
  readonly isLoaded: boolean;
  /** Older ones than those shown exist: `loadOlder(conversationId)`. */
  readonly hasOlder: boolean;
  /** All changes of `messages` up to the one with this number are in them. */
  readonly lastChange: number;
  readonly isLoadingOlder: boolean;
  readonly typing: readonly Typist[];
  /** Those that are open (`openThread`), by the id of the message that is replied to. */
  readonly threads: Readonly<Record<string, Thread>>;
  readonly members: MemberList;
  readonly pins: PinList;
  readonly draft: string;
  /** What `draft` replies to; null where that was not chosen. */
  readonly draftReply: Quote | null;
  /** What was begun in threads, by the id of the message that is replied to. */
  readonly threadDrafts: Readonly<Record<string, Draft>>;
}

/** What was begun in a conversation. */
export type Drafts = Pick<Room, "draft" | "draftReply" | "threadDrafts">;

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
  /** After `loadNotifications()`. */
  readonly notifications: NotificationList;
}

/** What this person was told of, newest first. */
export interface NotificationList {
  readonly items: readonly NotificationEntry[];
  /** Also of those that are not loaded. */
  readonly unreadCount: number;
  readonly isLoaded: boolean;
  readonly isLoading: boolean;
  /** Older ones exist: `loadNotifications()`. */
  readonly hasMore: boolean;
  readonly failure: Failure | null;
}

/** One thing that somebody was told of; what comes of one conversation before it is read is one. */
export interface NotificationEntry {
  readonly id: string;
  readonly kind: "message" | "mention" | "added";
  readonly conversationId: string;
  readonly conversationName: string | null;
  /** Of the newest message of it. */
  readonly messageId?: string | null;
  readonly seq?: number | null;
  readonly senderName?: string | null;
  readonly preview?: string | null;
  /** How many messages it stands for. */
  readonly count: number;
  /** ISO 8601 */
  readonly createdAt: string;
  /** Null while it is unread. */
  readonly readAt: string | null;
}

/** What somebody is told of: everything, what mentions them and that they were added, or nothing. */
export type NotificationLevel = "all" | "mentions" | "nothing";

export type Day = "mon" | "tue" | "wed" | "thu" | "fri" | "sat" | "sun";

/** What somebody wants to be told of in general, and when not. */
export interface NotificationSettings {
  readonly level: NotificationLevel;
  /** Hours (`HH:MM`) that begin on each of these days; null for none. Where `to` is not later, they end the next day. */
  readonly doNotDisturb: {
    readonly from: string;
    readonly to: string;
    /** Of the IANA database, as `Europe/Paris`. */
    readonly timeZone: string;
    readonly days: readonly Day[];
  } | null;
}

/** Mails about what stays unread, for who wants them. */
export interface Mails {
  /** Whether this deployment sends any. */
  readonly available: boolean;
  readonly digest: boolean;
  readonly language: "en" | "fr";
  /** Where they go, or would go; absent where the sign-in says of no address that it is verified. */
  readonly address?: string;
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
  | { readonly type: "send_failed"; readonly outgoing: Outgoing }
  /** What this person did to a message was refused, and is shown no more. */
  | {
      readonly type: "change_failed";
      readonly conversationId: string;
      readonly messageId: string;
      readonly change: "edit" | "delete" | "reaction";
      readonly failure: Failure;
    };

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
  /** Ids of those whose attention it wants. */
  mentions?: string[];
  /** It wants everybody's; in groups and channels only admins may. */
  mentionAll?: boolean;
}

/** Left out, whom a message mentions stays as it is. */
export interface EditOptions {
  /** User ids. */
  mentions?: string[];
  mentionAll?: boolean;
}

/** What a message said until `at` (ISO 8601). */
export interface Edit {
  readonly content: string;
  readonly at: string;
}

/** A page of a list. Give `nextCursor` back for the next one; it is null at the end. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** What is searched for. */
export interface Wanted {
  /** Each word is the beginning of one in the message; case and accents do not matter. */
  words: string;
  conversationId?: string;
  senderId?: string;
  /** ISO 8601: from this moment on. */
  after?: string;
  /** ISO 8601: before this moment. */
  before?: string;
}

/** A message that was searched for. */
export interface Found {
  readonly message: Message;
  readonly conversationId: string;
  readonly conversationName: string | null;
  /** Some of its content, as text. */
  readonly snippet: string;
  /** Begin and end of what was found in the snippet. */
  readonly highlights: readonly (readonly [number, number])[];
}

export interface NewConversation {
  type: ConversationType;
  /** For groups, and of every channel. */
  name?: string;
  memberIds: string[];
  /** A channel that anybody finds and joins. */
  public?: boolean;
}

/** A public channel, as anybody finds it. */
export interface PublicChannel {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly memberCount: number;
  /** This person is in it. */
  readonly joined: boolean;
}

/** What one sets for oneself; what is absent stays. */
export interface OwnSettings {
  isMuted?: boolean;
  isArchived?: boolean;
}

/** A change of a conversation, and who made it. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly actorId: string;
  /** An `updateType` of `conversation_updated`; there may come more of them. */
  readonly action: string;
  readonly name?: string;
  readonly public?: boolean;
  /** Who was added or removed. */
  readonly userIds?: readonly string[];
  /** By user id: the roles given with it. */
  readonly roles?: Readonly<Record<string, Role>>;
  readonly messageId?: string;
  /** By user id: what all these people are called now, also those who are not in it any more. */
  readonly names?: Readonly<Record<string, string>>;
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
  /** A page before what is shown: before the excerpt, while there is one. */
  loadOlder(conversationId: string): Promise<void>;
  /** A message and all replies to it, in `rooms[id].threads`, for as long as the returned end was not called. */
  openThread(conversationId: string, messageId: string): () => void;
  /**
   * Show the messages around a `seq`, as an excerpt where they are not among `messages`. It ends where the conversation is
   * closed, and where it has grown to the live end. Resolves with whether they are shown: not where another message, or the
   * live end, was asked for meanwhile.
   */
  openAt(conversationId: string, seq: number): Promise<boolean>;
  /** A page after the excerpt. */
  loadNewer(conversationId: string): Promise<void>;
  /** Show the live end again. */
  backToLive(conversationId: string): void;
  /** Messages of this person's conversations, newest first; a further page with the `nextCursor` of the last one. */
  search(wanted: Wanted, cursor?: string | null): Promise<Page<Found>>;
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
  /** Try a failed message again, as the same message. */
  retry(tempId: string): void;
  /** Drop a failed or waiting message. */
  discard(tempId: string): void;

  /**
   * Another content for a message of one's own; whom it mentions stays, unless that is given. Throws `ChatError`
   * CONTENT_EMPTY. This and what follows shows at once; a refusal is the event `change_failed`.
   */
  editMessage(conversationId: string, messageId: string, content: string, options?: EditOptions): void;
  /** Empty a message for everybody. */
  deleteMessage(conversationId: string, messageId: string): void;
  /** One emoji of this person on a message, and off it. */
  addReaction(conversationId: string, messageId: string, emoji: string): void;
  removeReaction(conversationId: string, messageId: string, emoji: string): void;
  /** What an edited message said before, oldest first. */
  loadEdits(conversationId: string, messageId: string): Promise<Edit[]>;

  /** To be called for every keystroke; it is told to the others as seldom as possible, and ends by itself. */
  startTyping(conversationId: string): void;
  stopTyping(conversationId: string): void;
  /** What was begun: its text, or also what it replies to. With `threadId`, in the thread of that message. */
  setDraft(conversationId: string, draft: string | Partial<Draft>, threadId?: string): void;

  searchPeople(query: string): Promise<Person[]>;
  /** Members of a conversation a word of whose name begins so, loaded or not; the first of them, where these are many. */
  searchMembers(conversationId: string, query: string): Promise<Member[]>;
  createConversation(wanted: NewConversation): Promise<Conversation>;
  rename(conversationId: string, name: string): Promise<void>;
  addMembers(conversationId: string, userIds: string[]): Promise<void>;
  removeMember(conversationId: string, userId: string): Promise<void>;
  /** Give up one's membership. */
  leave(conversationId: string): Promise<void>;
  deleteConversation(conversationId: string): Promise<void>;
  setRole(conversationId: string, userId: string, role: Role): Promise<void>;
  /** Let anybody find a channel and join it, or nobody any more. */
  setPublic(conversationId: string, isPublic: boolean): Promise<void>;
  /** Let everybody read it only, or open it again. */
  setClosed(conversationId: string, isClosed: boolean): Promise<void>;
  /** Public channels that are open, by name; a further page with the `nextCursor` of the last one. */
  findChannels(query: string, cursor?: string | null): Promise<Page<PublicChannel>>;
  joinChannel(conversationId: string): Promise<Conversation>;
  /** Mute or archive it for oneself. It shows at once, and goes back when it is refused. */
  changeSettings(conversationId: string, settings: OwnSettings): Promise<void>;
  /** The first page of what is archived, or the next; into `conversations.items`. */
  loadArchived(): Promise<void>;
  /** What is pinned, into `rooms[id].pins`, which is kept up to date from then on. */
  loadPins(conversationId: string): Promise<void>;
  /** It shows at once, and goes again when it is refused. */
  pin(conversationId: string, message: Message): Promise<void>;
  unpin(conversationId: string, messageId: string): Promise<void>;
  /** Who changed what in a conversation, newest first (admins). */
  loadAudit(conversationId: string, cursor?: string | null): Promise<Page<AuditEntry>>;
  /** The first page of `notifications`, or the next; kept up to date from then on. */
  loadNotifications(): Promise<void>;
  /** All of them, or those of one conversation, were seen. It shows at once. */
  readNotifications(conversationId?: string): Promise<void>;
  loadNotificationSettings(): Promise<NotificationSettings>;
  saveNotificationSettings(settings: NotificationSettings): Promise<void>;
  /** Null: as in general. */
  loadNotificationLevel(conversationId: string): Promise<NotificationLevel | null>;
  loadMails(): Promise<Mails>;
  saveMails(wanted: Pick<Mails, "digest" | "language">): Promise<Mails>;
  saveNotificationLevel(conversationId: string, level: NotificationLevel | null): Promise<void>;
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
  editMessage: Chat["editMessage"];
  deleteMessage: Chat["deleteMessage"];
  addReaction: Chat["addReaction"];
  removeReaction: Chat["removeReaction"];
  openThread: Chat["openThread"];
  /** This person sees everything up to `seq`, or the newest. */
  markRead: (conversationId: string, seq?: number) => void;
  /** By user id, of those whom `usePresence` or `watchPresence` names. */
  presence: ChatState["presence"];
  myPresence: MyPresence | null;
  setPresence: (status: MyPresence) => void;
  watchPresence: (userIds: readonly string[]) => () => void;
  search: Chat["search"];
  /** Show the messages around one, and the live end again. */
  openAt: Chat["openAt"];
  backToLive: Chat["backToLive"];
  /** Everything else: the whole state, and the store with all that can be done. */
  state: ChatState;
  chat: Chat;
}
