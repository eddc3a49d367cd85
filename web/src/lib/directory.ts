/** The list of conversations: loaded, kept up to date, and what one can do with them. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { ChatError, failureOf } from "./errors.ts";
import type { ConversationUpdated, Message, Notification, ReadReceipt } from "./frames.ts";
import { createMembers } from "./members.ts";
import type { ConversationView, List } from "./rest.ts";
import {
  changed,
  conversationOf,
  fromView,
  risen,
  withConversation,
  withConversations,
  withLastMessage,
  withList,
  withoutConversations,
  withSeqs,
} from "./state.ts";
import type { Conversation, GoneReason, LastMessage, NewConversation, Person } from "./types.ts";

const RETRY: Backoff = { base: 2000, cap: 60_000 };
const PAGE = 50;
/** So many conversations are fetched one by one; more of them by the page. */
const FEW = 3;
/** In larger conversations nobody is told how far others have read; as in `contracts/limits.py`. */
const READERS_SHOWN_TO = 100;

export interface DirectoryOptions {
  /** This person is in a conversation no more, or again. */
  onGone: (conversationId: string, reason: GoneReason) => void;
  onBack: (conversationId: string) => void;
  /** The gateway does not know yet that this person has read so far. */
  onUnread: (conversationId: string, seq: number) => void;
}

export type Directory = ReturnType<typeof createDirectory>;

export function createDirectory(context: Context, { onGone, onBack, onUnread }: DirectoryOptions) {
  const { store, rest } = context;
  const fetching = new Map<string, Promise<Conversation>>();
  // When each conversation was lost, in losses: an answer that was asked for before does not bring it back.
  const lost = new Map<string, number>();
  let losses = 0;
  const members = createMembers(context, loadQuietly);
  let cursor: string | null = null; // of the page after the last one that was loaded
  let refreshing: Promise<void> | null = null;
  let again: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;

  const myId = () => store.get().me?.userId ?? null;
  const update = (id: string, change: (known: Conversation) => Conversation) => {
    const known = conversationOf(store.get(), id);
    if (known) store.set(withConversation(store.get(), id, change(known)));
  };

  /** `asked`: how many losses there were when this was asked for. */
  function upsert(views: readonly ConversationView[], asked: number): void {
    const state = store.get();
    const current = views.filter(({ id }) => (lost.get(id) ?? 0) <= asked);
    const conversations = current.map((view) => fromView(view, conversationOf(state, view.id), myId()));
    store.set(withConversations(state, conversations));
    for (const { id } of current) onBack(id);
    // Read without a connection, perhaps before the page was loaded anew.
    for (const { id, lastSeq, unreadCount } of current) {
      const seq = conversationOf(store.get(), id)?.lastReadSeq ?? 0;
      if (seq > lastSeq - unreadCount) onUnread(id, seq);
    }
  }

  // -------------------------------------------------------------------------------------------------- the list

  /** The newest conversations, as far down as anything has changed. */
  function refresh(): Promise<void> {
    refreshing ??= loadNewest().finally(() => {
      refreshing = null;
    });
    return refreshing;
  }

  async function loadNewest(): Promise<void> {
    clearTimeout(again);
    store.set(withList(store.get(), { isLoading: true }));
    const asked = losses;
    try {
      const before = store.get().conversations;
      const found: ConversationView[] = [];
      let page: List<ConversationView>;
      let next: string | null = null;
      do {
        page = await rest.conversations({ cursor: next, limit: PAGE });
        found.push(...page.items);
        next = page.nextCursor;
      } while (next !== null && before.items.length > 0 && !reachesTheKnown(page.items, before.items));
      if (!before.isLoaded || next === null) cursor = next;
      store.batch(() => {
        upsert(found, asked);
        const hasMore = cursor !== null;
        store.set(withList(store.get(), { isLoaded: true, isLoading: false, hasMore, failure: null }));
      });
      checkMissing(found, next === null);
      failures = 0;
    } catch (error) {
      const failure = failureOf(error);
      store.set(withList(store.get(), { isLoading: false, failure }));
      if (!failure.retryable || !context.isConnected()) return;
      again = setTimeout(() => void refresh(), failure.retryAfterMs ?? delayOf(failures++, RETRY));
    }
  }

  /** Below a conversation where nothing has happened, nothing has happened. */
  function reachesTheKnown(page: readonly ConversationView[], items: readonly Conversation[]): boolean {
    const last = page.at(-1);
    return last === undefined || items.some((item) => item.id === last.id && item.lastSeq === last.lastSeq);
  }

  /** What should have been among these and was not is perhaps not this person's any more: ask for each. */
  function checkMissing(found: readonly ConversationView[], isAll: boolean): void {
    const ids = new Set(found.map(({ id }) => id));
    const last = found.at(-1);
    const oldest = last ? (last.lastMessage?.createdAt ?? last.createdAt) : "";
    for (const { id, lastActivityAt } of store.get().conversations.items)
      if (!ids.has(id) && (isAll || lastActivityAt > oldest)) loadQuietly(id);
  }

  async function loadMore(): Promise<void> {
    await refreshing;
    const { hasMore, isLoading } = store.get().conversations;
    if (!hasMore || isLoading || cursor === null) return;
    store.set(withList(store.get(), { isLoading: true }));
    const asked = losses;
    try {
      const page = await rest.conversations({ cursor, limit: PAGE });
      cursor = page.nextCursor;
      store.batch(() => {
        upsert(page.items, asked);
        store.set(withList(store.get(), { isLoading: false, hasMore: cursor !== null, failure: null }));
      });
    } catch (error) {
      store.set(withList(store.get(), { isLoading: false, failure: failureOf(error) }));
      throw error;
    }
  }

  /** Fetch one as it is now; one call at a time for each. */
  function load(id: string): Promise<Conversation> {
    const running = fetching.get(id);
    if (running) return running;
    const started = loadOne(id).finally(() => fetching.get(id) === started && fetching.delete(id));
    fetching.set(id, started);
    return started;
  }

  async function loadOne(id: string): Promise<Conversation> {
    try {
      return await shown(rest.conversation(id));
    } catch (error) {
      if (error instanceof ChatError && error.code === "NOT_A_MEMBER") lose(id, "not_found");
      throw error;
    }
  }

  /** The answer to a call, in the list. */
  async function shown(answer: Promise<ConversationView>): Promise<Conversation> {
    const asked = losses;
    const view = await answer;
    upsert([view], asked);
    return conversationOf(store.get(), view.id) ?? fromView(view, undefined, myId());
  }

  /** In the background: what fails is found again by the next ping or the next connection. */
  function loadQuietly(id: string): void {
    load(id).catch(() => {});
  }

  function lose(id: string, reason: GoneReason): void {
    lost.set(id, ++losses);
    fetching.delete(id);
    store.batch(() => {
      store.set(withoutConversations(store.get(), new Set([id])));
      onGone(id, reason);
    });
  }

  // ------------------------------------------------------------------------------------------- what frames tell

  /** Messages of one conversation were stored. */
  function saw(messages: readonly Message[]): void {
    const [first] = messages;
    if (!first || !has(first.conversationId)) return;
    update(first.conversationId, (known) =>
      messages.reduce((conversation, message) => withLastMessage(conversation, message, myId()), known),
    );
  }

  /** Whether it is in the list; otherwise it will be, if it is this person's. */
  function has(id: string): boolean {
    const isKnown = conversationOf(store.get(), id) !== undefined;
    if (!isKnown) loadQuietly(id);
    return isKnown;
  }

  function messageChanged(message: Message): void {
    update(message.conversationId, (known) =>
      known.lastMessage?.seq === message.seq ? { ...known, lastMessage: message } : known,
    );
  }

  function notified(notification: Notification): void {
    const { conversationId, seq, unreadCount } = notification;
    if (has(conversationId) && seq !== undefined)
      update(conversationId, (conversation) => {
        const lastReadSeq = Math.max(conversation.lastReadSeq, seq - unreadCount);
        return withSeqs(withLastMessage(conversation, lastMessageOf(notification, seq), myId()), {
          lastReadSeq,
        });
      });
  }

  function changedConversation(frame: ConversationUpdated): void {
    const { conversationId: id, updateType, userIds = [], members: people = [] } = frame;
    const concernsMe = userIds.includes(myId() ?? "");
    if (updateType === "deleted") lose(id, "deleted");
    else if (updateType === "name_changed")
      update(id, (known) => changed(known, { name: frame.name ?? null }));
    else if (updateType === "member_removed" && concernsMe)
      lose(id, frame.actorId === myId() ? "left" : "removed");
    else if (updateType === "member_removed") members.went(id, userIds, people);
    else if (updateType === "member_added" && !concernsMe) members.came(id, userIds, people);
    else if (isInView(updateType)) loadQuietly(id);
  }

  /** Something was missed in these conversations, which are not open; their newest seqs. */
  function behind(heads: ReadonlyMap<string, number>): void {
    const ids = [...heads].filter(([id, head]) => (conversationOf(store.get(), id)?.lastSeq ?? 0) < head);
    if (ids.length > FEW) void refresh();
    else for (const [id] of ids) loadQuietly(id);
  }

  // --------------------------------------------------------------------------------------------------- actions

  return {
    refresh,
    loadMore,
    load,
    loadMembers: members.load,
    has,
    /** Live in it now: what others have read while it was not is not told again. */
    joined(id: string): void {
      if (has(id) && (conversationOf(store.get(), id)?.memberCount ?? 0) <= READERS_SHOWN_TO) loadQuietly(id);
    },
    saw,
    messageChanged,
    notified,
    changedConversation,
    behind,
    /** This person has read everything up to `seq`, or up to the newest; returns how far, where that is news. */
    read(id: string, seq: number): number | null {
      const known = conversationOf(store.get(), id);
      const upTo = Math.min(seq, known?.lastSeq ?? 0);
      if (!known || upTo <= known.lastReadSeq) return null;
      update(id, (conversation) => withSeqs(conversation, { lastReadSeq: upTo }));
      return upTo;
    },
    /** Somebody has read so far. Of one's own reading elsewhere this may come before the messages themselves. */
    receipt({ conversationId, userId, seq }: ReadReceipt): void {
      update(conversationId, (known) =>
        userId === myId()
          ? withSeqs(known, { lastReadSeq: Math.max(known.lastReadSeq, seq) })
          : { ...known, readers: risen(known.readers, [{ userId, lastReadSeq: seq }], myId()) },
      );
    },
    readers: async (id: string, messageId: string): Promise<Person[]> =>
      (await rest.readers(id, messageId)).items,
    heads: (): Record<string, number> =>
      Object.fromEntries(store.get().conversations.items.map(({ id, lastSeq }) => [id, lastSeq])),
    async searchPeople(query: string): Promise<Person[]> {
      return (await rest.users(query)).items;
    },
    create: (wanted: NewConversation) => shown(rest.create(wanted)),
    async rename(id: string, name: string): Promise<void> {
      await shown(rest.rename(id, name));
    },
    async addMembers(id: string, userIds: string[]): Promise<void> {
      const conversation = await shown(rest.addMembers(id, userIds));
      const added = conversation.members.filter(({ userId }) => userIds.includes(userId));
      members.came(id, [], added); // they are counted already
    },
    async removeMember(id: string, userId: string): Promise<void> {
      await rest.removeMember(id, userId);
      if (userId === myId()) lose(id, "left");
      else members.went(id, [userId], []);
    },
    async delete(id: string): Promise<void> {
      await rest.delete(id);
      lose(id, "deleted");
    },
    dispose(): void {
      clearTimeout(again);
      members.dispose();
    },
  };
}

/** Whether this changes how a conversation is shown. What a newer gateway tells besides is ignored. */
function isInView(updateType: ConversationUpdated["updateType"]): boolean {
  switch (updateType) {
    case "created":
    case "member_added": // this person was brought in
    case "role_changed":
    case "visibility_changed":
    case "closed":
    case "reopened":
    case "settings_changed":
      return true;
    default:
      return false;
  }
}

function lastMessageOf(notification: Notification, seq: number): LastMessage {
  return {
    id: notification.messageId ?? "",
    seq,
    senderId: null,
    senderName: notification.senderName ?? "",
    content: notification.preview ?? "",
    createdAt: notification.timestamp,
  };
}
