/** The one place where the page reads the store: its state as what is drawn, its calls as what people do. */
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Member } from "../lib/frames.ts";
import {
  type AuditEntry,
  type Chat,
  type ChatState,
  type Conversation,
  createChat,
  type Draft,
  type Edit,
  type EditOptions,
  type GoneReason,
  type LastMessage,
  type Message,
  type NotificationLevel,
  type Outgoing,
  type OwnSettings,
  type Page,
  type Person,
  type Pin,
  type Quote,
  type SendOptions,
  type Thread,
} from "../lib/index.ts";
import { renderingOf } from "../lib/rendering.ts";
import { openConversation } from "./address.ts";
import { isAttentive } from "./attention.ts";
import type { Banner } from "./connection/ConnectionBanner.tsx";
import type { Listed } from "./conversations/ConversationItem.tsx";
import { faceOf, titleOf } from "./conversations/names.ts";
import type { Actions } from "./members/actions.ts";
import type { Quoted, Spoken } from "./messages/rows.ts";
import type { Session } from "./signin/session.ts";
import { texts } from "./texts/index.ts";
import { refusalOf } from "./texts/reason.ts";

/** Messages fetched at once: enough that scrolling back seldom waits. */
const PAGE = 100;

/** A chat that is connected for as long as the page shows it. */
export function useChat(session: Session): Chat | null {
  const [chat, setChat] = useState<Chat | null>(null);
  useEffect(() => {
    const made = createChat({
      getToken: ({ refused }) => session.token(refused),
      userId: session.userId,
      pageSize: PAGE,
    });
    made.connect();
    setChat(made);
    return () => made.dispose();
  }, [session]);
  return chat;
}

export function useChatState(chat: Chat): ChatState {
  return useSyncExternalStore(renderingOf(chat), chat.getSnapshot);
}

// ------------------------------------------------------------------------------------------------- connection

export function bannerOf({ connection }: ChatState): Banner {
  switch (connection.status) {
    case "connected":
      return { kind: "connected" };
    case "waiting":
      return { kind: "waiting", until: connection.retryAt ?? 0 };
    case "offline":
      return { kind: "offline" };
    case "stopped":
      if (connection.reason) return { kind: "ended", code: connection.reason.code };
  }
  return { kind: "connecting", isFirst: !connection.wasConnected };
}

const AUTHENTICATION_FAILED = 4500;

/** Why the person has to sign in again; null where they need not. */
export function signInAgain({ connection }: ChatState): string | null {
  const { status, reason } = connection;
  if (status !== "stopped") return null;
  if (reason?.code === AUTHENTICATION_FAILED) return texts.signIn.refused;
  return reason?.failure?.code === "NO_TOKEN" ? texts.signIn.ended : null;
}

// ---------------------------------------------------------------------------------------------- conversations

/** Made once for each version of a conversation, so that what did not change is not drawn again. */
const listed = new WeakMap<Conversation, Listed>();

function listedOf(conversation: Conversation, userId: string): Listed {
  const known = listed.get(conversation);
  if (known) return known;
  const { lastMessage: last } = conversation;
  const made: Listed = {
    id: conversation.id,
    title: titleOf(conversation, userId, texts.conversations),
    face: faceOf(conversation, userId),
    unread: conversation.unreadCount,
    isMentioned: conversation.unreadMentions > 0,
    isMuted: conversation.isMuted,
    isArchived: conversation.isArchived,
    at: new Date(conversation.lastActivityAt),
    last: last && {
      from: senderInList(last, conversation, userId),
      content: last.content,
      isDeleted: last.isDeleted ?? false,
      hasAttachment: (last.attachments ?? []).length > 0,
    },
  };
  listed.set(conversation, made);
  return made;
}

/**
 * What the list shows: the conversations, and before them those that are no more, while they hold what could not be
 * sent. A device that did not see such a one go has forgotten how it was called.
 */
export function useListed({ conversations, rooms }: ChatState, userId: string): Listed[] {
  const { items } = conversations;
  const known = useRef(new Map<string, Listed>());
  const here = useMemo(() => items.map((one) => listedOf(one, userId)), [items, userId]);
  for (const one of here) known.current.set(one.id, one);
  const ids = useMemo(() => new Set(items.map(({ id }) => id)), [items]);
  const gone = useMemo(
    () =>
      Object.values(rooms).flatMap(({ conversationId, outgoing }) => {
        const failed = outgoing.findLast(({ status }) => status === "failed");
        if (!failed || ids.has(conversationId)) return [];
        return [formerOf(conversationId, failed, known.current.get(conversationId))];
      }),
    [rooms, ids],
  );
  return useMemo(() => (gone.length > 0 ? [...gone, ...here] : here), [gone, here]);
}

function formerOf(id: string, failed: Outgoing, known: Listed | undefined): Listed {
  return {
    id,
    title: known?.title ?? texts.conversations.former,
    face: known?.face ?? { id, kind: "group" },
    unread: 0,
    isMentioned: false,
    isMuted: false,
    isArchived: false,
    at: new Date(failed.createdAt),
    last: null,
  };
}

function senderInList(last: LastMessage, conversation: Conversation, userId: string): string | null {
  if (last.senderId === userId) return texts.conversations.you;
  return conversation.type === "direct" ? null : last.senderName;
}

/** Whether this person wrote something that only this device has. */
export function hasUnsent({ rooms }: ChatState): boolean {
  return Object.values(rooms).some(({ draft, threadDrafts, outgoing }) => {
    const begun = [draft, ...Object.values(threadDrafts).map(({ text }) => text)];
    return begun.some((text) => text.trim() !== "") || outgoing.some(({ status }) => status !== "sent");
  });
}

// ------------------------------------------------------------------------------------------------------- room

export interface RoomView {
  kind: "open";
  conversation: Conversation;
  members: readonly Member[];
  hasMoreMembers: boolean;
  /** Beyond the first few. */
  areMembersLoaded: boolean;
  /** Those that are open, by the id of the message that is replied to. */
  threads: Readonly<Record<string, ThreadView>>;
  /** At the live end, with one's own that are on their way. */
  messages: readonly Spoken[];
  pins: readonly Pin[];
  /** What is to be seen: these, or an excerpt from elsewhere. */
  shown: readonly Spoken[];
  hasOlder: boolean;
  hasNewer: boolean;
  /** Whether what is said there comes at once; not while the connection is away. */
  isLive: boolean;
  typingNames: string[];
  draft: Draft;
  /** What was begun in threads, by the id of the message that is replied to. */
  threadDrafts: Readonly<Record<string, Draft>>;
  actions: RoomActions;
}

export interface ThreadView {
  /** One at most, until it has come. */
  parent: readonly Spoken[];
  replies: readonly Spoken[];
  isLoaded: boolean;
}

export interface RoomActions extends Actions {
  loadMembers: () => void;
  searchMembers: (query: string) => Promise<Member[]>;
  loadOlder: () => Promise<void>;
  loadNewer: () => Promise<void>;
  /** Returns whether one is taken there, and not elsewhere meanwhile. */
  openAt: (seq: number) => Promise<boolean>;
  backToLive: () => void;
  seen: (seq: number) => void;
  /** Who has read a message. */
  loadReaders: (messageId: string) => Promise<Person[]>;
  /** Returns whether it will be seen at the end of the conversation, and not only in a thread beside an excerpt. */
  send: (content: string, options: SendOptions) => boolean;
  edit: (messageId: string, content: string, options: EditOptions) => void;
  openThread: (messageId: string) => () => void;
  deleteMessage: (messageId: string) => void;
  react: (messageId: string, emoji: string, isPresent: boolean) => void;
  loadEdits: (messageId: string) => Promise<Edit[]>;
  typing: (isTyping: boolean) => void;
  setClosed: (isClosed: boolean) => Promise<void>;
  changeSettings: (settings: OwnSettings) => Promise<void>;
  loadPins: () => void;
  pin: (messageId: string) => Promise<void>;
  unpin: (messageId: string) => Promise<void>;
  loadAudit: (cursor: string | null) => Promise<Page<AuditEntry>>;
  loadNotificationLevel: () => Promise<NotificationLevel | null>;
  saveNotificationLevel: (level: NotificationLevel | null) => Promise<void>;
  keepDraft: (draft: string | Partial<Draft>, threadId?: string) => void;
  retry: (tempId: string) => void;
  discard: (tempId: string) => void;
}

/** The conversation that is open: there, on its way, not one's own any more, or none. */
export type RoomState =
  | RoomView
  | { kind: "none" | "loading" }
  | { kind: "gone"; reason: GoneReason; unsent: readonly Spoken[]; discard: (tempId: string) => void };

export function useRoom(chat: Chat, state: ChatState, id: string | null, userId: string): RoomState {
  useEffect(() => (id ? chat.open(id) : undefined), [chat, id]);
  const conversation = state.conversations.items.find((one) => one.id === id);
  const room = id ? state.rooms[id] : undefined;
  const actions = useMemo(() => (id ? actionsOf(chat, id) : null), [chat, id]);
  const stored = room?.messages;
  const going = room?.outgoing;
  const messages = useMemo(
    () => [...(stored ?? []).map(spokenOf), ...(going ?? []).map((one) => goingOf(one, userId))],
    [stored, going, userId],
  );
  const opened = room?.threads;
  const threads = useMemo(
    () =>
      Object.fromEntries(
        Object.values(opened ?? {}).map((thread) => [
          thread.messageId,
          threadOf(thread, going ?? [], userId),
        ]),
      ),
    [opened, going, userId],
  );
  const around = room?.excerpt?.messages;
  const excerpt = useMemo(() => around?.map(spokenOf) ?? null, [around]);
  return useMemo<RoomState>(() => {
    if (!actions) return { kind: "none" };
    if (room?.gone) {
      const unsent = messages.filter(({ state }) => state === "failed");
      return { kind: "gone", reason: room.gone, unsent, discard: actions.discard };
    }
    if (!room?.isLoaded || !conversation) return { kind: "loading" };
    return {
      kind: "open",
      conversation,
      members: room.members.isLoaded ? room.members.items : conversation.members,
      areMembersLoaded: room.members.isLoaded,
      hasMoreMembers: room.members.isLoaded ? room.members.hasMore : false,
      messages,
      threads,
      pins: room.pins.items,
      shown: excerpt ?? messages,
      hasOlder: room.hasOlder,
      hasNewer: room.excerpt !== null,
      isLive: room.status === "joined",
      typingNames: room.typing.map((person) => person.userName),
      draft: { text: room.draft, reply: room.draftReply },
      threadDrafts: room.threadDrafts,
      actions,
    };
  }, [actions, room, conversation, messages, threads, excerpt]);
}

function actionsOf(chat: Chat, id: string): RoomActions {
  return {
    search: (query) => chat.searchPeople(query),
    rename: (name) => chat.rename(id, name),
    add: (userIds) => chat.addMembers(id, userIds),
    remove: (userId) => chat.removeMember(id, userId),
    setRole: (who, role) => chat.setRole(id, who, role),
    setPublic: (isPublic) => chat.setPublic(id, isPublic),
    leave: async () => {
      await chat.leave(id);
      openConversation(null);
    },
    delete: async () => {
      await chat.deleteConversation(id);
      openConversation(null);
    },
    more: () => chat.loadMembers(id),
    // The library tries again what fails here, and the banner says what is wrong.
    loadMembers: () => void chat.loadMembers(id).catch(() => undefined),
    searchMembers: (query) => chat.searchMembers(id, query),
    loadOlder: () => chat.loadOlder(id),
    loadNewer: () => chat.loadNewer(id),
    openAt: (seq) => chat.openAt(id, seq),
    backToLive: () => chat.backToLive(id),
    seen: (seq) => {
      if (isAttentive()) chat.markRead(id, seq);
    },
    loadReaders: (messageId) => chat.loadReaders(id, messageId),
    send: (content, options) => {
      const { replyTo } = options;
      const { threads = {} } = chat.getSnapshot().rooms[id] ?? {};
      // To where one's own words appear; a thread that is open shows them itself.
      if (replyTo === undefined || !threads[replyTo]) chat.backToLive(id);
      chat.send(id, content, options);
      return !chat.getSnapshot().rooms[id]?.excerpt;
    },
    edit: (messageId, content, options) => chat.editMessage(id, messageId, content, options),
    openThread: (messageId) => chat.openThread(id, messageId),
    deleteMessage: (messageId) => chat.deleteMessage(id, messageId),
    react: (messageId, emoji, isPresent) =>
      isPresent ? chat.addReaction(id, messageId, emoji) : chat.removeReaction(id, messageId, emoji),
    loadEdits: (messageId) => chat.loadEdits(id, messageId),
    setClosed: (isClosed) => chat.setClosed(id, isClosed),
    changeSettings: (settings) => chat.changeSettings(id, settings),
    loadPins: () => void chat.loadPins(id).catch(() => undefined),
    pin: async (messageId) => {
      const room = chat.getSnapshot().rooms[id];
      const message = [...(room?.excerpt?.messages ?? []), ...(room?.messages ?? [])].find(
        (one) => one.id === messageId,
      );
      if (message) await chat.pin(id, message);
    },
    unpin: (messageId) => chat.unpin(id, messageId),
    loadAudit: (cursor) => chat.loadAudit(id, cursor),
    loadNotificationLevel: () => chat.loadNotificationLevel(id),
    saveNotificationLevel: (level) => chat.saveNotificationLevel(id, level),
    typing: (isTyping) => (isTyping ? chat.startTyping(id) : chat.stopTyping(id)),
    keepDraft: (draft, threadId) => chat.setDraft(id, draft, threadId),
    retry: (tempId) => chat.retry(tempId),
    discard: (tempId) => chat.discard(tempId),
  };
}

function threadOf(thread: Thread, going: readonly Outgoing[], userId: string): ThreadView {
  const { messageId, parent, isLoaded } = thread;
  const stored = thread.replies.map(spokenOf);
  const keys = new Set(stored.map(({ key }) => key));
  const own = going.filter(({ replyTo, tempId }) => replyTo === messageId && !keys.has(tempId));
  return {
    parent: parent ? [spokenOf(parent)] : [],
    replies: [...stored, ...own.map((one) => goingOf(one, userId))],
    isLoaded,
  };
}

const spoken = new WeakMap<Message | Outgoing, Spoken>();

function spokenOf(message: Message): Spoken {
  return remembered(message, () => ({
    id: message.id,
    key: message.tempId ?? message.id,
    seq: message.seq,
    senderId: message.senderId,
    senderName: message.senderName,
    content: message.content,
    at: new Date(message.createdAt),
    state: "stored",
    failure: null,
    isEdited: message.editedAt !== undefined,
    isDeleted: message.isDeleted ?? false,
    attachments: message.attachments ?? [],
    quoted: quotedOf(message.reply),
    replies: message.replies?.count ?? 0,
    mentions: message.mentions ?? [],
    mentionAll: message.mentionAll ?? false,
    reactions: Object.entries(message.reactions ?? {}).map(([emoji, userIds]) => ({ emoji, userIds })),
  }));
}

function quotedOf(quote: Quote | null | undefined): Quoted | null {
  if (!quote) return null;
  const { messageId, seq, senderName, preview, isDeleted = false } = quote;
  return { messageId, seq, senderName, preview, isDeleted };
}

function goingOf(outgoing: Outgoing, userId: string): Spoken {
  return remembered(outgoing, () => ({
    id: null,
    key: outgoing.tempId,
    seq: null,
    senderId: userId,
    senderName: "",
    content: outgoing.content,
    at: new Date(outgoing.createdAt),
    state: outgoing.status === "sent" ? "stored" : outgoing.status,
    failure: outgoing.failure && refusalOf(outgoing.failure),
    isEdited: false,
    isDeleted: false,
    attachments: [...outgoing.attachments],
    quoted: quotedOf(outgoing.reply),
    replies: 0,
    mentions: [...outgoing.mentions],
    mentionAll: outgoing.mentionAll,
    reactions: [],
  }));
}

function remembered(source: Message | Outgoing, make: () => Spoken): Spoken {
  const known = spoken.get(source) ?? make();
  spoken.set(source, known);
  return known;
}
