/** How the state changes: from one `ChatState` to the next, sharing what stays the same. No I/O. */
import type { ConversationView } from "./rest.ts";
import type { ChatState, Conversation, Draft, Drafts, LastMessage, Member, Room } from "./types.ts";

export const INITIAL: ChatState = {
  connection: { status: "stopped", retryAt: null, reason: null, wasConnected: false },
  me: null,
  conversations: {
    items: [],
    isLoaded: false,
    isLoading: false,
    hasMore: false,
    hasMoreArchived: true,
    failure: null,
  },
  rooms: {},
  presence: {},
  myPresence: null,
  notifications: {
    items: [],
    unreadCount: 0,
    isLoaded: false,
    isLoading: false,
    hasMore: false,
    failure: null,
  },
};

export const NO_DRAFTS: Drafts = { draft: "", draftReply: null, threadDrafts: {} };

export function roomOf(state: ChatState, conversationId: string): Room {
  return (
    state.rooms[conversationId] ?? {
      conversationId,
      status: "closed",
      gone: null,
      messages: [],
      excerpt: null,
      outgoing: [],
      isLoaded: false,
      hasOlder: false,
      lastChange: 0,
      isLoadingOlder: false,
      typing: [],
      threads: {},
      members: { items: [], isLoaded: false, isLoading: false, hasMore: false },
      pins: { items: [], isLoaded: false },
      ...NO_DRAFTS,
    }
  );
}

export function withRoom(state: ChatState, conversationId: string, changes: Partial<Room>): ChatState {
  const room = roomOf(state, conversationId);
  const next = changed(room, changes);
  if (next === room && state.rooms[conversationId]) return state;
  return { ...state, rooms: { ...state.rooms, [conversationId]: next } };
}

/** What is left out of a draft stays as it is. */
export function withDraft(
  state: ChatState,
  conversationId: string,
  changes: Partial<Draft>,
  threadId?: string,
): ChatState {
  const { draft, draftReply, threadDrafts } = roomOf(state, conversationId);
  if (threadId === undefined) {
    const { text = draft, reply = draftReply } = changes;
    return withRoom(state, conversationId, { draft: text, draftReply: reply });
  }
  const { [threadId]: known = { text: "", reply: null }, ...others } = threadDrafts;
  const next = { ...known, ...changes };
  const isBegun = next.text !== "" || next.reply !== null;
  return withRoom(state, conversationId, {
    threadDrafts: isBegun ? { ...others, [threadId]: next } : others,
  });
}

/** With what this device kept, except where something else has been begun. */
export function withKeptDrafts(state: ChatState, conversationId: string, kept: Drafts): ChatState {
  const { draft, draftReply, threadDrafts } = roomOf(state, conversationId);
  const isBegun = draft !== "" || draftReply !== null;
  return withRoom(state, conversationId, {
    ...(!isBegun && { draft: kept.draft, draftReply: kept.draftReply }),
    threadDrafts: { ...kept.threadDrafts, ...threadDrafts },
  });
}

export function conversationOf(state: ChatState, conversationId: string): Conversation | undefined {
  return state.conversations.items.find(({ id }) => id === conversationId);
}

/** With these conversations, new or as they are now, in the order of the list. */
export function withConversations(state: ChatState, conversations: readonly Conversation[]): ChatState {
  const items = new Map(state.conversations.items.map((item) => [item.id, item]));
  for (const conversation of conversations) {
    const known = items.get(conversation.id);
    items.set(conversation.id, known ? changed(known, conversation) : conversation);
  }
  return withItems(state, [...items.values()].sort(newestFirst));
}

export function withConversation(
  state: ChatState,
  conversationId: string,
  changes: Partial<Conversation>,
): ChatState {
  const known = conversationOf(state, conversationId);
  if (!known) return state;
  const next = changed(known, changes);
  return next === known ? state : withConversations(state, [next]);
}

export function withoutConversations(state: ChatState, ids: ReadonlySet<string>): ChatState {
  return withItems(
    state,
    state.conversations.items.filter(({ id }) => !ids.has(id)),
  );
}

export function withList(state: ChatState, changes: Partial<ChatState["conversations"]>): ChatState {
  const conversations = changed(state.conversations, changes);
  return conversations === state.conversations ? state : { ...state, conversations };
}

function withItems(state: ChatState, items: Conversation[]): ChatState {
  const old = state.conversations.items;
  const isSame = items.length === old.length && items.every((item, at) => item === old[at]);
  return isSame ? state : withList(state, { items });
}

// --------------------------------------------------------------------------------------------- one conversation

/** What REST shows, and what this device knows better: it may be ahead of an answer that was long on its way. */
export function fromView(
  view: ConversationView,
  known: Conversation | undefined,
  myId: string | null,
): Conversation {
  const {
    unreadCount,
    unreadMentions = known?.unreadMentions ?? 0,
    lastMessage,
    muted,
    archived,
    public: isPublic,
    closedAt,
    role,
    ...facts
  } = view;
  const isAhead = known !== undefined && known.lastSeq > view.lastSeq;
  return withSeqs(
    {
      ...facts,
      lastMessage,
      lastActivityAt: lastMessage?.createdAt ?? view.createdAt,
      lastReadSeq: 0,
      readers: risen(known?.readers ?? {}, view.members, myId),
      unreadCount,
      unreadMentions: isAhead ? Math.max(unreadMentions, known.unreadMentions) : unreadMentions,
      role: role ?? view.members.find(({ userId }) => userId === myId)?.role ?? "member",
      isPublic: isPublic ?? false,
      closedAt: closedAt ?? null,
      isMuted: muted ?? false,
      isArchived: archived ?? false,
    },
    {
      lastSeq: Math.max(view.lastSeq, known?.lastSeq ?? 0),
      lastReadSeq: Math.max(view.lastSeq - unreadCount, known?.lastReadSeq ?? 0),
      ...(isAhead && { lastMessage: known.lastMessage, lastActivityAt: known.lastActivityAt }),
    },
  );
}

/** With other seqs, and what follows from them: a newer message also brings an archived conversation back. */
export function withSeqs(conversation: Conversation, changes: Partial<Conversation>): Conversation {
  const next = { ...conversation, ...changes };
  const unreadCount = Math.max(0, next.lastSeq - next.lastReadSeq);
  // Which of them were mentions only the gateway knows: these are the most that can be left.
  const unreadMentions = Math.min(next.unreadMentions, unreadCount);
  // Whoever muted it too does not want it back.
  const isBack = next.lastSeq > conversation.lastSeq && !next.isMuted;
  return { ...next, unreadCount, unreadMentions, isArchived: next.isArchived && !isBack };
}

function doesMention({ mentions, mentionAll }: LastMessage, userId: string | null): boolean {
  return mentionAll === true || (userId !== null && (mentions ?? []).includes(userId));
}

/** A message was seen. What its sender wrote, its sender has read. */
export function withLastMessage(
  conversation: Conversation,
  message: LastMessage,
  myId: string | null,
): Conversation {
  const isMine = message.senderId !== null && message.senderId === myId;
  const isNewest = message.seq > conversation.lastSeq;
  // Of the newest one, a message knows more than its notification did.
  const isBetter = message.seq === conversation.lastSeq && message.senderId !== null;
  return withSeqs(conversation, {
    ...((isNewest || isBetter) && {
      lastSeq: message.seq,
      lastMessage: message,
      lastActivityAt: message.createdAt,
    }),
    ...(isNewest &&
      !isMine &&
      doesMention(message, myId) && { unreadMentions: conversation.unreadMentions + 1 }),
    ...(isMine && { lastReadSeq: Math.max(conversation.lastReadSeq, message.seq) }),
    ...(message.senderId !== null && {
      readers: risen(conversation.readers, [{ userId: message.senderId, lastReadSeq: message.seq }], myId),
    }),
  });
}

/** With how far others have read; `readers` itself where that is not news. */
export function risen(
  readers: Conversation["readers"],
  reads: readonly Pick<Member, "userId" | "lastReadSeq">[],
  myId: string | null,
): Conversation["readers"] {
  const news = reads.filter(
    ({ userId, lastReadSeq }) => userId !== myId && lastReadSeq > (readers[userId] ?? -1),
  );
  if (!news.length) return readers;
  return { ...readers, ...Object.fromEntries(news.map(({ userId, lastReadSeq }) => [userId, lastReadSeq])) };
}

export function withoutReaders(
  readers: Conversation["readers"],
  userIds: readonly string[],
): Conversation["readers"] {
  return Object.fromEntries(Object.entries(readers).filter(([userId]) => !userIds.includes(userId)));
}

// -------------------------------------------------------------------------------------------------------- members

/** New people at the end, known ones as they are now. */
export function withMembers(members: readonly Member[], changes: readonly Member[]): readonly Member[] {
  const byId = new Map(members.map((member) => [member.userId, member]));
  for (const member of changes) byId.set(member.userId, member);
  return [...byId.values()];
}

export function withoutMembers(members: readonly Member[], userIds: readonly string[]): readonly Member[] {
  return members.filter(({ userId }) => !userIds.includes(userId));
}

// ------------------------------------------------------------------------------------------------------- presence

export function withPresence(state: ChatState, presence: ChatState["presence"]): ChatState {
  const next = Object.fromEntries(
    Object.entries(presence).map(([id, now]) => {
      const before = state.presence[id];
      return [id, before ? changed(before, now) : now];
    }),
  );
  const isSame =
    Object.keys(state.presence).length === Object.keys(next).length &&
    Object.entries(next).every(([id, now]) => now === state.presence[id]);
  return isSame ? state : { ...state, presence: next };
}

export function withNotifications(state: ChatState, changes: Partial<ChatState["notifications"]>): ChatState {
  const notifications = changed(state.notifications, changes);
  return notifications === state.notifications ? state : { ...state, notifications };
}

export function withMyPresence(state: ChatState, myPresence: ChatState["myPresence"]): ChatState {
  return myPresence === state.myPresence ? state : { ...state, myPresence };
}

// -------------------------------------------------------------------------------------------------------- sharing

/** `value` with changes; `value` itself where nothing changes, and its own parts where they are equal. */
export function changed<Value extends object>(value: Value, changes: Partial<Value>): Value {
  const different: Partial<Value> = {};
  for (const key of Object.keys(changes) as (keyof Value)[])
    if (!isEqual(value[key], changes[key])) different[key] = changes[key] as Value[keyof Value];
  return Object.keys(different).length ? { ...value, ...different } : value;
}

/** By content. Long lists are compared by identity only: whoever changes one makes a new one. */
function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) && Array.isArray(other) && (one.length > 100 || one.length !== other.length))
    return false;
  return JSON.stringify(one) === JSON.stringify(other);
}

function newestFirst(one: Conversation, other: Conversation): number {
  if (one.lastActivityAt !== other.lastActivityAt) return one.lastActivityAt < other.lastActivityAt ? 1 : -1;
  return one.id < other.id ? 1 : -1;
}
