/** The one place where the page reads the store: its state as what is drawn, its calls as what people do. */
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import type { Member } from "../lib/frames.ts";
import {
  type Chat,
  type ChatState,
  type Conversation,
  createChat,
  type LastMessage,
  type Message,
  type Outgoing,
  type Person,
} from "../lib/index.ts";
import { openConversation } from "./address.ts";
import { isAttentive } from "./attention.ts";
import type { Banner } from "./connection/ConnectionBanner.tsx";
import type { Listed } from "./conversations/ConversationItem.tsx";
import { faceOf, titleOf } from "./conversations/names.ts";
import type { Actions } from "./members/MembersPanel.tsx";
import type { Quoted, Spoken } from "./messages/rows.ts";
import type { Session } from "./signin/session.ts";
import { texts } from "./texts/index.ts";

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
  const subscribe = useCallback((listener: () => void) => chat.subscribe(listener), [chat]);
  return useSyncExternalStore(subscribe, () => chat.getSnapshot());
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
      if (connection.reason) return { kind: "ended" };
  }
  return { kind: "connecting", isFirst: !connection.wasConnected };
}

const AUTHENTICATION_FAILED = 4500;

/** The gateway or the provider wants the person to sign in again. */
export function needsSignIn({ connection }: ChatState): boolean {
  const { status, reason } = connection;
  return (
    status === "stopped" && (reason?.code === AUTHENTICATION_FAILED || reason?.failure?.code === "NO_TOKEN")
  );
}

// ---------------------------------------------------------------------------------------------- conversations

/** Made once for each version of a conversation, so that what did not change is not drawn again. */
const listed = new WeakMap<Conversation, Listed>();

export function listedOf(conversation: Conversation, userId: string): Listed {
  const known = listed.get(conversation);
  if (known) return known;
  const { lastMessage: last } = conversation;
  const made: Listed = {
    id: conversation.id,
    title: titleOf(conversation, userId, texts.conversations),
    face: faceOf(conversation, userId),
    unread: conversation.unreadCount,
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

function senderInList(last: LastMessage, conversation: Conversation, userId: string): string | null {
  if (last.senderId === userId) return texts.conversations.you;
  return conversation.type === "direct" ? null : last.senderName;
}

// ------------------------------------------------------------------------------------------------------- room

export interface RoomView {
  kind: "open";
  conversation: Conversation;
  members: readonly Member[];
  hasMoreMembers: boolean;
  messages: readonly Spoken[];
  hasOlder: boolean;
  /** Whether what is said there comes at once; not while the connection is away. */
  isLive: boolean;
  typingNames: string[];
  draft: string;
  actions: RoomActions;
}

export interface RoomActions extends Actions {
  loadMembers: () => void;
  loadOlder: () => Promise<void>;
  seen: (seq: number) => void;
  /** Who has read a message. */
  loadReaders: (messageId: string) => Promise<Person[]>;
  send: (content: string, replyTo?: string) => void;
  edit: (messageId: string, content: string) => Promise<void>;
  deleteMessage: (messageId: string) => Promise<void>;
  react: (messageId: string, emoji: string, isPresent: boolean) => Promise<void>;
  typing: (isTyping: boolean) => void;
  keepDraft: (text: string) => void;
  retry: (tempId: string) => void;
  discard: (tempId: string) => void;
}

/** The conversation that is open: there, on its way, not one's own any more, or none. */
export type RoomState = RoomView | { kind: "none" | "loading" | "gone" };

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
  return useMemo<RoomState>(() => {
    if (!actions) return { kind: "none" };
    if (room?.status === "gone") return { kind: "gone" };
    if (!room?.isLoaded || !conversation) return { kind: "loading" };
    return {
      kind: "open",
      conversation,
      members: room.members.isLoaded ? room.members.items : conversation.members,
      hasMoreMembers: room.members.isLoaded ? room.members.hasMore : false,
      messages,
      hasOlder: room.hasOlder,
      isLive: room.status === "joined",
      typingNames: room.typing.map((person) => person.userName),
      draft: room.draft,
      actions,
    };
  }, [actions, room, conversation, messages]);
}

function actionsOf(chat: Chat, id: string): RoomActions {
  return {
    search: (query) => chat.searchPeople(query),
    rename: (name) => chat.rename(id, name),
    add: (userIds) => chat.addMembers(id, userIds),
    remove: (userId) => chat.removeMember(id, userId),
    leave: async () => {
      await chat.leave(id);
      openConversation(null);
    },
    delete: async () => {
      await chat.deleteConversation(id);
      openConversation(null);
    },
    more: () => chat.loadMembers(id),
    // What fails here is tried again by the next look, and the banner says what is wrong.
    loadMembers: () => void chat.loadMembers(id).catch(() => undefined),
    loadOlder: () => chat.loadOlder(id),
    seen: (seq) => {
      if (isAttentive()) chat.markRead(id, seq);
    },
    loadReaders: (messageId) => chat.loadReaders(id, messageId),
    send: (content, replyTo) => void chat.send(id, content, replyTo === undefined ? {} : { replyTo }),
    edit: (messageId, content) => chat.edit(id, messageId, content),
    deleteMessage: (messageId) => chat.deleteMessage(id, messageId),
    react: (messageId, emoji, isPresent) => chat.react(id, messageId, emoji, isPresent),
    typing: (isTyping) => (isTyping ? chat.startTyping(id) : chat.stopTyping(id)),
    keepDraft: (text) => chat.setDraft(id, text),
    retry: (tempId) => chat.retry(tempId),
    discard: (tempId) => chat.discard(tempId),
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
    isEdited: message.editedAt !== undefined,
    isDeleted: message.isDeleted ?? false,
    attachments: message.attachments ?? [],
    quoted: quotedOf(message),
    reactions: Object.entries(message.reactions ?? {}).map(([emoji, userIds]) => ({ emoji, userIds })),
  }));
}

function quotedOf({ reply }: Message): Quoted | null {
  if (!reply) return null;
  return { senderName: reply.senderName, preview: reply.preview, isDeleted: reply.isDeleted ?? false };
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
    isEdited: false,
    isDeleted: false,
    attachments: [...outgoing.attachments],
    quoted: null,
    reactions: [],
  }));
}

function remembered(source: Message | Outgoing, make: () => Spoken): Spoken {
  const known = spoken.get(source) ?? make();
  spoken.set(source, known);
  return known;
}
