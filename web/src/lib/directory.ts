/** The list of conversations: loaded, kept up to date, and what one can do with them. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { ChatError, failureOf } from "./errors.ts";
import type { ConversationUpdated, Member, Message, Notification, ReadReceipt } from "./frames.ts";
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
import type {
  Conversation,
  Failure,
  GoneReason,
  LastMessage,
  NewConversation,
  OwnSettings,
  Person,
  Role,
} from "./types.ts";

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

/** What is shown before it is answered. */
type Wished = Partial<Pick<Conversation, "isMuted" | "isArchived" | "isPublic">>;
/** What frames tell as it is now; of members they tell who came and went. */
const FACTS = ["name", "closedAt", "role", "isMuted", "isArchived", "isPublic"] as const;
const MEMBERS = "members";
type Facts = Partial<Pick<Conversation, (typeof FACTS)[number]>>;

export type Directory = ReturnType<typeof createDirectory>;

export function createDirectory(context: Context, { onGone, onBack, onUnread }: DirectoryOptions) {
  const { store, rest } = context;
  const fetching = new Map<string, Promise<Conversation>>();
  // An answer does not undo what has been told since it was asked for: each thing told is a moment.
  let moment = 0;
  const lost = new Map<string, number>();
  const told = new Map<string, Record<string, number>>(); // of each conversation: its FACTS, and MEMBERS
  const members = createMembers(context, loadQuietly);
  let cursor: string | null = null; // of the page after the last one that was loaded
  let archivedCursor: string | null = null;
  const archivedFound = new Set<string>(); // since the first page of them
  const seen = new Set<string>(); // on this connection, as they were by then
  let refreshing: Promise<void> | null = null;
  let again: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let failuresOfMore = 0;

  const myId = () => store.get().me?.userId ?? null;
  const update = (id: string, change: (known: Conversation) => Conversation) => {
    const known = conversationOf(store.get(), id);
    if (known) store.set(withConversation(store.get(), id, change(known)));
  };

  /** Something of a conversation is told, or wished. */
  function note(id: string, what: readonly string[]): void {
    moment++;
    told.set(id, { ...told.get(id), ...Object.fromEntries(what.map((each) => [each, moment])) });
  }

  const toldSince = (id: string, asked: number): string[] =>
    Object.entries(told.get(id) ?? {}).flatMap(([what, at]) => (at > asked ? [what] : []));

  /** `asked`: the moment when these were asked for. */
  function upsert(views: readonly ConversationView[], asked: number): void {
    const state = store.get();
    const current = views.filter(({ id }) => (lost.get(id) ?? 0) <= asked);
    const conversations = current.map((view) => {
      const known = conversationOf(state, view.id);
      return { ...fromView(view, known, myId()), ...(known && newer(known, asked)) };
    });
    store.set(withConversations(state, conversations));
    for (const { id } of current) {
      seen.add(id);
      onBack(id);
      const kept: readonly string[] = conversationOf(state, id) ? FACTS : [];
      if (toldSince(id, asked).some((what) => !kept.includes(what))) members.reloadSoon(id);
    }
    // Read without a connection, perhaps before the page was loaded anew.
    for (const { id, lastSeq, unreadCount } of current) {
      const seq = conversationOf(store.get(), id)?.lastReadSeq ?? 0;
      if (seq > lastSeq - unreadCount) onUnread(id, seq);
    }
  }

  /** What has been told of it since. */
  function newer(known: Conversation, asked: number): Facts {
    const since = toldSince(known.id, asked);
    return Object.fromEntries(
      FACTS.filter((fact) => since.includes(fact)).map((fact) => [fact, known[fact]]),
    );
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
    const asked = moment;
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
      archivedCursor = null;
      archivedFound.clear();
      store.batch(() => {
        upsert(found, asked);
        const hasMore = cursor !== null;
        const loaded = { isLoaded: true, isLoading: false, hasMore, hasMoreArchived: true, failure: null };
        store.set(withList(store.get(), loaded));
      });
      checkMissing(found, next === null);
      failures = 0;
    } catch (error) {
      const failure = failureOf(error);
      store.set(withList(store.get(), { isLoading: false, failure }));
      refreshLater(failure, failures++);
    }
  }

  /** In a while; without a connection, with the next one. */
  function refreshLater(failure: Failure, attempt: number): void {
    clearTimeout(again);
    if (!failure.retryable || !context.isConnected()) return;
    again = setTimeout(() => void refresh(), failure.retryAfterMs ?? delayOf(attempt, RETRY));
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
    for (const { id, lastActivityAt, isArchived } of store.get().conversations.items)
      if (!ids.has(id) && !isArchived && (isAll || lastActivityAt > oldest)) loadQuietly(id);
  }

  async function loadMore(): Promise<void> {
    await refreshing;
    const { hasMore, isLoading } = store.get().conversations;
    if (!hasMore || isLoading || cursor === null) return;
    store.set(withList(store.get(), { isLoading: true }));
    const asked = moment;
    try {
      const page = await rest.conversations({ cursor, limit: PAGE });
      cursor = page.nextCursor;
      failuresOfMore = 0;
      store.batch(() => {
        upsert(page.items, asked);
        store.set(withList(store.get(), { isLoading: false, hasMore: cursor !== null, failure: null }));
      });
    } catch (error) {
      const failure = failureOf(error);
      store.set(withList(store.get(), { isLoading: false, failure }));
      // Whoever shows the end of the list may ask again once the failure is over.
      refreshLater(failure, failuresOfMore++);
      throw error;
    }
  }

  async function loadArchived(): Promise<void> {
    if (!store.get().conversations.hasMoreArchived) return;
    const asked = moment;
    const page = await rest.conversations({ archived: true, cursor: archivedCursor, limit: PAGE });
    archivedCursor = page.nextCursor;
    for (const { id } of page.items) archivedFound.add(id);
    // What is known as archived and is not among them has come back, or is gone.
    if (archivedCursor === null)
      for (const { id, isArchived } of store.get().conversations.items)
        if (isArchived && !archivedFound.has(id)) loadQuietly(id);
    store.batch(() => {
      upsert(page.items, asked);
      store.set(withList(store.get(), { hasMoreArchived: archivedCursor !== null }));
    });
  }

  /** It shows at once, and goes back where it is refused, unless it has been said meanwhile how it is. */
  async function optimistically(
    id: string,
    changes: Wished,
    answer: Promise<ConversationView>,
  ): Promise<void> {
    const before = conversationOf(store.get(), id);
    note(id, Object.keys(changes));
    update(id, (known) => changed<Conversation>(known, changes));
    try {
      await shown(answer);
    } catch (error) {
      const facts = (Object.keys(changes) as (keyof Wished)[]).filter(
        (fact) => conversationOf(store.get(), id)?.[fact] === changes[fact],
      );
      const back = Object.fromEntries(facts.map((fact) => [fact, before?.[fact] ?? false]));
      update(id, (known) => changed<Conversation>(known, back));
      throw error;
    }
  }

  function changeSettings(id: string, settings: OwnSettings): Promise<void> {
    const { isMuted: muted, isArchived: archived } = settings;
    const told = { ...(muted !== undefined && { muted }), ...(archived !== undefined && { archived }) };
    return optimistically(id, settings, rest.changeSettings(id, told));
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
    const asked = moment;
    const view = await answer;
    upsert([view], asked);
    return conversationOf(store.get(), view.id) ?? fromView(view, undefined, myId());
  }

  /** In the background: what fails is found again by the next ping or the next connection. */
  function loadQuietly(id: string): void {
    load(id).catch(() => {});
  }

  /** So far down that nobody has looked yet, it may have got another name, or have been closed, meanwhile. */
  async function loadUnseen(id: string): Promise<void> {
    await refreshing;
    if (!seen.has(id)) loadQuietly(id);
  }

  function lose(id: string, reason: GoneReason): void {
    lost.set(id, ++moment);
    told.delete(id);
    fetching.delete(id);
    members.gone(id);
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
    // Of what was lost, frames may still be on their way; that one is back in it is told.
    if (!isKnown && !lost.has(id)) loadQuietly(id);
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
    const { conversationId: id, updateType } = frame;
    if (updateType === "deleted") lose(id, "deleted");
    else if (updateType === "created") loadQuietly(id);
    else if (changesMembers(updateType)) changedMembers(frame);
    else changedFacts(id, factsIn(frame));
  }

  function changedFacts(id: string, facts: Facts): void {
    note(id, Object.keys(facts));
    if (has(id)) update(id, (known) => changed<Conversation>(known, facts));
  }

  function changedMembers(frame: ConversationUpdated): void {
    const { conversationId: id, updateType, userIds = [], members: people = [] } = frame;
    const concernsMe = userIds.includes(myId() ?? "");
    note(id, [MEMBERS]);
    if (updateType === "member_added") {
      if (concernsMe) loadQuietly(id);
      else members.came(id, userIds, people);
    } else if (updateType === "member_removed") {
      if (concernsMe) lose(id, frame.actorId === myId() ? "left" : "removed");
      else members.went(id, userIds, people);
    } else members.changed(id, people);
    ownRole(id, people); // the last admin who leaves hands the role on
  }

  function ownRole(id: string, people: readonly Member[]): void {
    const mine = people.find(({ userId }) => userId === myId());
    if (!mine) return;
    note(id, ["role"]);
    update(id, (known) => changed(known, { role: mine.role }));
  }

  /** Something was missed in these conversations, which are not open; their newest seqs. */
  function behind(heads: ReadonlyMap<string, number>): void {
    const ids = [...heads].filter(([id, head]) => (conversationOf(store.get(), id)?.lastSeq ?? 0) < head);
    if (ids.length > FEW) void refresh();
    else for (const [id] of ids) loadQuietly(id);
  }

  // --------------------------------------------------------------------------------------------------- actions

  return {
    connected(): void {
      seen.clear();
      members.connected();
      // One that is on its way was asked for on a connection that has ended.
      void Promise.resolve(refreshing).then(refresh);
    },
    loadMore,
    load,
    loadMembers: members.load,
    has,
    /** Live in it now: what others have read while it was not is not told again. */
    joined(id: string): void {
      const memberCount = conversationOf(store.get(), id)?.memberCount ?? 0;
      if (memberCount <= READERS_SHOWN_TO) loadQuietly(id);
      else void loadUnseen(id);
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
    /** How far conversations and people have come is to be heard anew: it may be less than what was heard before. */
    forgetSeqs(): void {
      const { conversations } = store.get();
      const nothing = { lastSeq: 0, lastReadSeq: 0, unreadCount: 0, unreadMentions: 0, readers: {} };
      const items = conversations.items.map((item) => ({ ...item, ...nothing }));
      store.set({ ...store.get(), conversations: { ...conversations, items } });
    },
    async searchPeople(query: string): Promise<Person[]> {
      return (await rest.users(query)).items;
    },
    searchMembers: async (id: string, query: string): Promise<Member[]> =>
      (await rest.members(id, { query })).items,
    create: (wanted: NewConversation) => shown(rest.create(wanted)),
    async rename(id: string, name: string): Promise<void> {
      await shown(rest.change(id, { name }));
    },
    async addMembers(id: string, userIds: string[]): Promise<void> {
      const asked = moment;
      const conversation = await shown(rest.addMembers(id, userIds));
      const added = conversation.members.filter(({ userId }) => userIds.includes(userId));
      if (!toldSince(id, asked).includes(MEMBERS)) members.came(id, [], added); // they are counted already
    },
    async removeMember(id: string, userId: string): Promise<void> {
      await rest.removeMember(id, userId);
      if (userId === myId()) lose(id, "left");
      else members.went(id, [userId], []);
    },
    async setRole(id: string, userId: string, role: Role): Promise<void> {
      const asked = moment;
      const { members: people } = await shown(rest.setRole(id, userId, role));
      const changed = people.filter((member) => member.userId === userId);
      if (!toldSince(id, asked).includes(MEMBERS)) members.changed(id, changed);
    },
    setPublic: (id: string, isPublic: boolean) =>
      optimistically(id, { isPublic }, rest.change(id, { public: isPublic })),
    async setClosed(id: string, isClosed: boolean): Promise<void> {
      await shown(rest.change(id, { closed: isClosed }));
    },
    joinChannel: (id: string) => shown(rest.join(id)),
    loadArchived,
    changeSettings,
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

function changesMembers(updateType: ConversationUpdated["updateType"]): boolean {
  return updateType === "member_added" || updateType === "member_removed" || updateType === "role_changed";
}

/** What a frame says about the conversation itself. What a newer gateway tells besides is ignored. */
function factsIn(frame: ConversationUpdated): Facts {
  switch (frame.updateType) {
    case "name_changed":
      return { name: frame.name ?? null };
    case "visibility_changed":
      return { isPublic: frame.public ?? false };
    case "closed":
      return { closedAt: frame.timestamp };
    case "reopened":
      return { closedAt: null };
    case "settings_changed":
      return { isMuted: frame.muted ?? false, isArchived: frame.archived ?? false };
    default:
      return {};
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
    // Which is why this person was told.
    ...(notification.kind === "mention" && { mentionAll: true }),
  };
}
