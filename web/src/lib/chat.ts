/** The store of a chat: puts the parts together, and hands every frame to those whom it concerns. */

import { createChanges } from "./changes.ts";
import type { Context } from "./context.ts";
import { createDirectory } from "./directory.ts";
import { contentOf, type Entry, newEntry, randomId } from "./entry.ts";
import { failureIn } from "./errors.ts";
import type {
  Authenticated,
  Error as ErrorFrame,
  Message,
  MessageSent,
  Pong,
  Quote,
  ServerFrame,
} from "./frames.ts";
import { watchIdle } from "./idle.ts";
import { type Keeper, startKeeping } from "./keeper.ts";
import { quoteOf } from "./message.ts";
import { createNotifications } from "./notifications.ts";
import { createOutbox } from "./outbox.ts";
import { createPins } from "./pins.ts";
import { createPeople } from "./presence.ts";
import { createReads } from "./reads.ts";
import { createRest, type List } from "./rest.ts";
import { createRooms } from "./rooms.ts";
import { createSocket, type Timing } from "./socket.ts";
import {
  changed,
  conversationOf,
  INITIAL,
  roomOf,
  withConversations,
  withDraft,
  withKeptDrafts,
  withRoom,
} from "./state.ts";
import { noStorage, openStorage, type Storage } from "./storage.ts";
import { addListener, callAll, createStore } from "./store.ts";
import { browserSurroundings, type Surroundings } from "./surroundings.ts";
import { enterTab, type Tab } from "./tabs.ts";
import { createThreads } from "./threads.ts";
import { createTokens } from "./tokens.ts";
import type {
  Chat,
  ChatEvent,
  ChatOptions,
  ChatState,
  Connection,
  Edit,
  Failure,
  SendOptions,
} from "./types.ts";
import { createOwnTyping } from "./typing.ts";

/** Conversations in one ping, as in `contracts/limits.py`. */
const HEADS = 500;
/** Pings: it costs the gateway more than what is open, and only finds a notification that was lost. */
const WHOLE_LIST_EVERY = 3;
const ADOPT_AGAIN = 1000;
const AWAY_AFTER = 300_000;

/** What only tests choose. */
export interface Internals {
  timing?: Partial<Timing>;
  random?: () => number;
  /** Milliseconds until what was just told is among `notifications`. */
  settled?: number;
  surroundings?: Surroundings;
}

export function createChat(options: ChatOptions, internals: Internals = {}): Chat {
  const { pageSize = 50, keptMessages = 200, awayAfter = AWAY_AFTER } = options;
  const url = options.url ?? ownAddress();
  const ending = new AbortController();
  const surroundings = internals.surroundings ?? browserSurroundings();
  const store = createStore<ChatState>(INITIAL);
  const listeners = new Set<(event: ChatEvent) => void>();
  const tokens = createTokens(options.getToken);
  const tabId = randomId();
  const opened = deferred<Storage>();
  let userId: string | null = null; // whose chat this is, once that is known
  let connectionId: string | null = null; // of the connection that everything runs on
  let tab: Tab | null = null;
  let keeper: Keeper | null = null;
  let isEnded = false;
  let hasAdopted = false;
  let hasLoadedMe = false;
  let history: string | null = null; // what is here belongs to
  let pings = 0;
  let stopFlushing = () => {};
  let stopWatchingInput: (() => void) | null = null;

  const socket = createSocket({
    url,
    tokens,
    heads,
    changes: () => Object.fromEntries(Object.entries(rooms.changes()).slice(0, HEADS)),
    onFrame: (frame) => store.batch(() => receive(frame)),
    onConnection: (connection) => store.batch(() => connectionChanged(connection)),
    surroundings,
    ...(internals.timing && { timing: internals.timing }),
    ...(internals.random && { random: internals.random }),
  });
  const outbox = createOutbox({
    deliver: (frame) => socket.send(frame),
    onChange: entryChanged,
    onFailed: (outgoing) => callAll(listeners, { type: "send_failed", outgoing }),
    onRemove(entry) {
      void opened.promise.then((storage) => storage.forgetEntry(entry.tempId));
      showOutgoing(entry.conversationId);
    },
    onLate: () => socket.check(),
  });
  const context: Context = {
    store,
    rest: createRest(restBase(options.restUrl ?? url), tokens, ending.signal),
    outbox,
    pageSize,
    storage: opened.promise,
    isConnected: () => connectionId !== null,
    send: (frame) => socket.send(frame),
    emit: (event) => callAll(listeners, event),
  };
  const changes = createChanges(context, (id) => {
    rooms.showAgain(id);
    threads.showAgain(id);
  });
  const rooms = createRooms(context, {
    onMessages(messages) {
      directory.saw(messages);
      threads.saw(messages);
      pins.saw(messages);
    },
    shown: changes.shown,
  });
  const threads = createThreads(context, changes.shown);
  const reads = createReads((frame) => socket.send(frame));
  const people = createPeople(context);
  const pins = createPins(context);
  const notifications = createNotifications(context, internals.settled);
  const directory = createDirectory(context, {
    onGone(id, reason) {
      changes.forget(id);
      rooms.gone(id, reason);
    },
    onBack: rooms.back,
    onUnread: reads.mark,
  });
  const typing = createOwnTyping((conversationId, isTyping) => {
    socket.send({ type: isTyping ? "typing_start" : "typing_stop", conversationId });
  });

  // ------------------------------------------------------------------------------------------- coming and going

  /** From now on this chat is this person's: what the device kept of them is shown. */
  async function become(id: string): Promise<void> {
    userId = id;
    const storage = options.storage === false ? noStorage() : openStorage(id);
    tab = options.storage === false ? null : enterTab(id, tabId, signedOutElsewhere);
    const kept = await storage.load();
    history = kept.history;
    opened.resolve(storage);
    if (isEnded) return;
    store.batch(() => {
      const state = store.get();
      store.set({ ...state, me: state.me ?? kept.me });
      const unknown = kept.conversations.filter((item) => !conversationOf(store.get(), item.id));
      store.set(withConversations(store.get(), unknown));
      for (const [conversationId, drafts] of kept.drafts)
        store.set(withKeptDrafts(store.get(), conversationId, drafts));
    });
    const conversations = { ...INITIAL.conversations, items: kept.conversations };
    keeper = startKeeping(store, storage, keptMessages, { ...INITIAL, me: kept.me, conversations });
    const { flush } = keeper;
    stopFlushing = surroundings.beforeEnd(() => {
      reads.flush();
      flush();
    });
    await adopt();
    // A page that was reloaded just now may still count as living.
    setTimeout(() => void adopt(), ADOPT_AGAIN);
  }

  /** Take over what tabs that have gone left unsent. */
  async function adopt(): Promise<void> {
    const storage = await opened.promise;
    const living = (await tab?.living()) ?? null;
    // Where the browser cannot say who lives, ask once: sending what another tab sends too does no harm.
    if (isEnded || (living === null && hasAdopted)) return;
    hasAdopted = true;
    for (const entry of await storage.adopt(tabId, living ?? new Set()))
      if (!outbox.has(entry.tempId)) outbox.add(entry);
  }

  async function authenticated(frame: Authenticated): Promise<void> {
    const { me } = store.get();
    if (userId !== null && userId !== frame.userId) return stop("The token is another person's.");
    if (me?.userId !== frame.userId || me.userName !== frame.userName)
      store.set({
        ...store.get(),
        me: { userId: frame.userId, userName: frame.userName, avatar: me?.avatar ?? null },
      });
    if (frame.connectionId === connectionId) return; // a token was renewed
    connectionId = frame.connectionId;
    if (userId === null) void become(frame.userId);
    const storage = await opened.promise;
    if (connectionId !== frame.connectionId) return; // it has ended meanwhile
    if (frame.history !== undefined && frame.history !== history) beginHistory(storage, frame.history);
    rooms.connected();
    outbox.connected();
    changes.connected();
    threads.connected();
    reads.connected();
    people.connected();
    pins.connected();
    notifications.connected();
    directory.connected();
    void adopt();
    if (!hasLoadedMe) void loadMe();
  }

  /** A backup was restored: what was seen since it was made may never have been, and its numbers are given again. */
  function beginHistory(storage: Storage, name: string): void {
    history = name;
    store.batch(() => {
      rooms.forgetAll();
      threads.forgetAll();
      directory.forgetSeqs();
    });
    storage.beginHistory(name);
  }

  /** Only the picture may be missing, or have changed. */
  async function loadMe(): Promise<void> {
    const found = await context.rest.me().catch(() => null);
    if (!found || isEnded) return;
    hasLoadedMe = true;
    const { me } = store.get();
    store.set({ ...store.get(), me: me ? changed(me, found) : found });
  }

  function connectionChanged(connection: Connection): void {
    store.set({ ...store.get(), connection });
    if (connection.status === "connected" || connectionId === null) return;
    connectionId = null;
    rooms.disconnected();
    outbox.disconnected();
    changes.disconnected();
    reads.disconnected();
    people.disconnected();
    notifications.disconnected();
    typing.forget();
  }

  function stop(message: string, code: Failure["code"] = "INVALID_TOKEN"): void {
    socket.disconnect({ code: 1000, reason: "", failure: { code, message, retryable: false } });
  }

  function signedOutElsewhere(): void {
    stop("Signed out in another tab.", "NO_TOKEN");
    keeper?.stop(); // nothing is written into what was wiped
    letGo();
    store.set({ ...INITIAL, connection: store.get().connection });
  }

  /** Let go of everything; what this device kept stays. */
  function letGo(): void {
    void end().then((storage) => storage?.close());
    tab?.release();
  }

  function disconnect(): void {
    if (store.get().connection.status === "stopped") return;
    reads.flush();
    socket.disconnect();
  }

  async function end(): Promise<Storage | null> {
    if (isEnded) return null;
    disconnect();
    isEnded = true;
    stopWatchingInput?.();
    keeper?.stop();
    stopFlushing();
    ending.abort();
    outbox.clear();
    changes.dispose();
    threads.dispose();
    rooms.dispose();
    directory.dispose();
    pins.dispose();
    people.dispose();
    notifications.dispose();
    typing.forget();
    return userId === null ? null : opened.promise;
  }

  // ----------------------------------------------------------------------------------------------------- frames

  function receive(frame: ServerFrame): void {
    switch (frame.type) {
      case "authenticated":
        void authenticated(frame);
        break;
      case "joined_conversation":
        rooms.joined(frame);
        directory.joined(frame.conversationId);
        break;
      case "new_message":
        if (!rooms.message(frame.message)) directory.saw([frame.message]);
        notifications.saw(frame.message);
        break;
      case "message_sent":
        sent(frame);
        break;
      case "message_error":
        if (frame.tempId) outbox.refused(frame.tempId, failureIn(frame));
        break;
      case "message_updated":
        directory.messageChanged(frame.message);
        changes.answered(frame.requestId);
        rooms.changed(frame);
        threads.changed(frame.message);
        pins.changed(frame.message);
        break;
      case "user_typing":
        rooms.typing(frame);
        break;
      case "user_stopped_typing":
        rooms.stoppedTyping(frame.conversationId, frame.userId);
        break;
      case "conversation_updated":
        directory.changedConversation(frame);
        pins.told(frame);
        people.met(frame);
        break;
      case "notification":
        directory.notified(frame);
        notifications.told();
        callAll(listeners, { type: "notification", notification: frame });
        break;
      case "read_receipt":
        directory.receipt(frame);
        notifications.receipt(frame);
        if (frame.userId === userId) reads.receipt(frame);
        break;
      case "presence":
        people.told(frame);
        break;
      case "resync":
        rooms.resync(frame);
        break;
      case "pong":
        ponged(frame);
        break;
      case "error":
        refused(frame);
        break;
    }
  }

  function ponged({ requestId, heads = {}, changes = {} }: Pong): void {
    if (requestId !== undefined) rooms.ponged(requestId);
    behind(new Map(Object.entries(heads)));
    for (const [id, change] of Object.entries(changes)) rooms.changesBehind(id, change);
    void adopt();
  }

  /** The gateway holds more than a ping said. */
  function behind(heads: ReadonlyMap<string, number>): void {
    directory.behind(new Map([...heads].filter(([id, head]) => !rooms.behind(id, head))));
  }

  function refused(frame: ErrorFrame): void {
    if (rooms.refused(frame) || reads.refused(frame) || people.refused(frame) || changes.refused(frame))
      return;
    if (frame.requestId !== undefined) outbox.refused(frame.requestId, failureIn(frame));
  }

  /** Stored. Its place among the messages is taken when those before it have come. */
  function sent(frame: MessageSent): void {
    const entry = frame.tempId === undefined ? undefined : outbox.sent(frame.tempId);
    const { me } = store.get();
    if (!entry || !me) return;
    const message: Message = {
      id: frame.messageId,
      conversationId: entry.conversationId,
      seq: frame.seq,
      senderId: me.userId,
      senderName: me.userName,
      senderAvatar: me.avatar,
      content: entry.content,
      createdAt: frame.createdAt,
      tempId: entry.tempId,
      ...(entry.attachments.length > 0 && { attachments: [...entry.attachments] }),
      ...(entry.replyTo !== null && { replyTo: entry.replyTo }),
      ...(entry.reply && { reply: entry.reply }),
      ...(entry.mentions.length > 0 && { mentions: [...entry.mentions] }),
      ...(entry.mentionAll && { mentionAll: true }),
    };
    if (!rooms.stored(message)) directory.saw([message]);
    // Where nobody looks there is nothing to wait for.
    const { status } = roomOf(store.get(), entry.conversationId);
    if (status === "closed" || status === "gone") outbox.remove(entry.tempId);
  }

  /** What a ping says that this client holds: of what is open, and now and then of the whole list. */
  function heads(): Record<string, number> {
    const open = rooms.heads();
    const others = pings++ % WHOLE_LIST_EVERY === 0 ? directory.heads() : {};
    return Object.fromEntries(Object.entries({ ...open, ...others, ...open }).slice(0, HEADS));
  }

  // ---------------------------------------------------------------------------------------------------- sending

  function entryChanged(entry: Entry): void {
    showOutgoing(entry.conversationId);
    void opened.promise.then((storage) => {
      if (entry.status === "sent") storage.forgetEntry(entry.tempId);
      else if (entry.status !== "sending") storage.keepEntry(entry, tabId);
    });
  }

  function showOutgoing(conversationId: string): void {
    store.set(withRoom(store.get(), conversationId, { outgoing: outbox.of(conversationId) }));
  }

  function send(conversationId: string, content: string, options?: SendOptions): string {
    const entry = newEntry(conversationId, content, options, quoted(conversationId, options?.replyTo));
    typing.stop(conversationId);
    store.batch(() => outbox.add(entry));
    return entry.tempId;
  }

  /** What a message replies to, where that is here, or was when the message was begun. */
  function quoted(conversationId: string, messageId: string | undefined): Quote | null {
    if (messageId === undefined) return null;
    const message = find(conversationId, messageId);
    if (message) return quoteOf(message);
    const { draftReply } = roomOf(store.get(), conversationId);
    return draftReply?.messageId === messageId ? draftReply : null;
  }

  /** A message, where it is here. */
  function find(conversationId: string, messageId: string): Message | undefined {
    const { messages, excerpt, threads } = roomOf(store.get(), conversationId);
    const others = Object.values(threads).flatMap(({ parent, replies }) =>
      parent ? [parent, ...replies] : replies,
    );
    return [...messages, ...(excerpt?.messages ?? []), ...others].find(({ id }) => id === messageId);
  }

  return {
    getSnapshot: store.get,
    subscribe: store.subscribe,
    listen: (listener) => addListener(listeners, listener),
    connect() {
      if (isEnded) return;
      if (!url) throw new TypeError("createChat: `url` is needed outside of a browser");
      if (options.userId !== undefined && userId === null) void become(options.userId);
      stopWatchingInput ??= watchIdle(surroundings.watchInput, awayAfter, people.idle);
      socket.connect();
    },
    disconnect,
    async signOut() {
      if (options.userId !== undefined && userId === null) void become(options.userId);
      tab?.tell({ type: "signed_out" });
      const storage = await end();
      store.set({ ...INITIAL, connection: store.get().connection });
      await storage?.wipe();
      tab?.release();
    },
    dispose() {
      keeper?.flush();
      letGo();
    },

    loadMoreConversations: directory.loadMore,
    loadConversation: directory.load,
    open: rooms.open,
    loadOlder: rooms.loadOlder,
    openThread(conversationId, messageId) {
      // What comes later is told of only where one is live.
      const ends = [rooms.open(conversationId), threads.open(conversationId, messageId)];
      return () => {
        for (const end of ends) end();
      };
    },
    openAt: rooms.openAt,
    loadNewer: rooms.loadNewer,
    backToLive: rooms.backToLive,
    search: (wanted, cursor = null) => context.rest.search(wanted, cursor),
    markRead(conversationId, seq = Number.MAX_SAFE_INTEGER) {
      const upTo = directory.read(conversationId, seq);
      if (upTo !== null) reads.mark(conversationId, upTo);
    },
    loadReaders: directory.readers,
    watchPresence: people.watch,
    setPresence: people.set,
    send,
    retry: outbox.retry,
    discard: outbox.discard,
    editMessage(conversationId, messageId, content, options = {}) {
      typing.stop(conversationId);
      const frame = { type: "edit_message" as const, conversationId, messageId };
      changes.ask({ ...frame, content: contentOf(content), ...options });
    },
    deleteMessage: (conversationId, messageId) =>
      changes.ask({ type: "delete_message", conversationId, messageId }),
    addReaction: (conversationId, messageId, emoji) =>
      changes.ask({ type: "add_reaction", conversationId, messageId, emoji }),
    removeReaction: (conversationId, messageId, emoji) =>
      changes.ask({ type: "remove_reaction", conversationId, messageId, emoji }),
    async loadEdits(conversationId, messageId) {
      const edits: Edit[] = [];
      let cursor: string | null = null;
      do {
        const page: List<Edit> = await context.rest.edits(conversationId, messageId, { cursor });
        edits.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== null);
      return edits;
    },
    startTyping(conversationId) {
      if (roomOf(store.get(), conversationId).status === "joined") typing.start(conversationId);
    },
    stopTyping: typing.stop,
    setDraft(conversationId, draft, threadId) {
      const changes = typeof draft === "string" ? { text: draft } : draft;
      store.set(withDraft(store.get(), conversationId, changes, threadId));
    },
    searchPeople: directory.searchPeople,
    searchMembers: directory.searchMembers,
    createConversation: directory.create,
    rename: directory.rename,
    addMembers: directory.addMembers,
    removeMember: directory.removeMember,
    async leave(conversationId) {
      if (userId !== null) await directory.removeMember(conversationId, userId);
    },
    deleteConversation: directory.delete,
    setRole: directory.setRole,
    setPublic: directory.setPublic,
    setClosed: directory.setClosed,
    findChannels: (query, cursor = null) => context.rest.channels(query, cursor),
    joinChannel: directory.joinChannel,
    changeSettings: directory.changeSettings,
    loadArchived: directory.loadArchived,
    loadPins: pins.load,
    pin: pins.pin,
    unpin: pins.unpin,
    loadAudit: (conversationId, cursor = null) => context.rest.audit(conversationId, cursor),
    loadNotifications: notifications.load,
    readNotifications: notifications.read,
    loadNotificationSettings: () => context.rest.notificationSettings(),
    async saveNotificationSettings(settings) {
      await context.rest.setNotificationSettings(settings);
    },
    loadMails: () => context.rest.mails(),
    saveMails: (wanted) => context.rest.setMails(wanted),
    loadNotificationLevel: async (conversationId) =>
      (await context.rest.notificationLevel(conversationId)).level,
    async saveNotificationLevel(conversationId, level) {
      await context.rest.setNotificationLevel(conversationId, level);
    },
    loadMembers: directory.loadMembers,
  };
}

function deferred<Value>() {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Empty where a page is rendered on a server, which makes chats and connects none. */
function ownAddress(): string {
  return typeof location === "undefined"
    ? ""
    : new URL("/ws/chat", location.href.replace(/^http/, "ws")).href;
}

/** `wss://host/ws/chat` or `https://host` become `https://host`. */
function restBase(address: string): string {
  return address.replace(/^ws/, "http").replace(/\/ws\/chat\/?$|\/$/, "");
}
