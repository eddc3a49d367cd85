/**
 * What this device keeps of one person, in IndexedDB. Where there is none (a private window, a full disk), everything
 * works all the same, from memory and until the tab is closed: no failure here is anybody's to handle.
 */
import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from "idb";
import { completed, type Entry } from "./entry.ts";
import type { Message } from "./frames.ts";
import { changeOf } from "./message.ts";
import { NO_DRAFTS } from "./state.ts";
import { unbrokenEnd } from "./timeline.ts";
import type { Conversation, Drafts, Person } from "./types.ts";

interface Schema extends DBSchema {
  me: { key: string; value: Person };
  conversations: { key: string; value: Conversation };
  messages: { key: [conversationId: string, seq: number]; value: Message };
  /** The text by conversation, and the others under a key that versions which know of the text alone pass over. */
  drafts: { key: string | OthersKey; value: string | OtherDrafts };
  /** By conversation: the last change that is contained in the messages kept of it. */
  changes: { key: string; value: number };
  /** Under one key: the name of the history that all of this belongs to. */
  history: { key: string; value: string };
  /** `owner` is the tab that sends it. */
  outbox: { key: string; value: Entry & { owner: string } };
}

type OtherDrafts = Omit<Drafts, "draft">;
type OthersKey = [conversationId: string, "others"];
const STORES = ["me", "conversations", "messages", "drafts", "changes", "history", "outbox"] as const;
const VERSION = 3;
/** Opening waits for ever while another tab refuses to let go of an older version. */
const PATIENCE = 3000;
/** To leave nothing lying about for those who were given none. */
const NO_MESSAGES: KeptMessages = { messages: [], lastChange: 0 };
const NOTHING: Kept = { me: null, conversations: [], drafts: new Map(), history: null };

/** What an older version of this library did not keep. */
const UNKNOWN_BEFORE: Partial<Conversation> = {
  readers: {},
  unreadMentions: 0,
  role: "member",
  isPublic: false,
  closedAt: null,
  isMuted: false,
  isArchived: false,
};

export interface Kept {
  me: Person | null;
  conversations: Conversation[];
  drafts: Map<string, Drafts>;
  /** The name of the history of these; null while it has none. */
  history: string | null;
}

export interface KeptMessages {
  messages: Message[];
  /** All changes of these up to this one are in them. */
  lastChange: number;
}

export interface Storage {
  load(): Promise<Kept>;
  /** The newest that are kept of a conversation, without holes. */
  messages(conversationId: string): Promise<KeptMessages>;
  keepMe(me: Person): void;
  keepConversations(conversations: readonly Conversation[]): void;
  /** These, and no older ones; a message that is kept in a newer state already stays so. */
  keepMessages(conversationId: string, kept: { messages: readonly Message[]; lastChange: number }): void;
  forgetMessages(conversationId: string): void;
  /** Forget the messages of all conversations: this history is another one. */
  beginHistory(name: string): void;
  /** It and its messages. */
  forgetConversation(conversationId: string): void;
  /** Empty ones are forgotten. */
  keepDrafts(conversationId: string, drafts: Drafts): void;
  keepEntry(entry: Entry, owner: string): void;
  forgetEntry(tempId: string): void;
  /** Unsent messages become those of `owner`, unless their own tab lives. Returns those that did, in order. */
  adopt(owner: string, living: ReadonlySet<string>): Promise<Entry[]>;
  wipe(): Promise<void>;
  /** Resolves when everything is written. */
  close(): Promise<void>;
}

export function openStorage(userId: string): Storage {
  const name = `palabre:${userId}`;
  let isOver = false;
  const giveUp = () => {
    isOver = true;
  };
  let opening = open(name, giveUp);
  const writing = new Set<Promise<void>>();
  const kept = new WeakSet<Message>(); // which need not be written again

  /** Failures are as if nothing was kept; see above. */
  async function read<Result>(work: (db: IDBPDatabase<Schema>) => Promise<Result>, otherwise: Result) {
    const attempt = async () => {
      const db = await opening;
      return db ? work(db) : otherwise;
    };
    const used = opening;
    try {
      return await attempt();
    } catch (error) {
      if (isOver || !isClosed(error)) return otherwise;
      if (opening === used) opening = open(name, giveUp);
      return attempt().catch(() => otherwise);
    }
  }

  function write(work: (db: IDBPDatabase<Schema>) => Promise<unknown>): void {
    const done = read(async (db) => void (await work(db)), undefined);
    writing.add(done);
    void done.then(() => writing.delete(done));
  }

  const close = async () => {
    await Promise.all(writing);
    giveUp();
    (await opening)?.close();
  };

  return {
    load: () =>
      read(async (db) => {
        const tx = db.transaction(["me", "conversations", "drafts", "history"]);
        const [me, conversations, ids, drafts, history] = await Promise.all([
          tx.objectStore("me").get("me"),
          tx.objectStore("conversations").getAll(),
          tx.objectStore("drafts").getAllKeys(),
          tx.objectStore("drafts").getAll(),
          tx.objectStore("history").get("name"),
        ]);
        return {
          me: me ?? null,
          conversations: conversations.map((conversation) => ({ ...UNKNOWN_BEFORE, ...conversation })),
          drafts: draftsOf(ids, drafts),
          history: history ?? null,
        };
      }, NOTHING),
    messages: (conversationId) =>
      read(async (db) => {
        const tx = db.transaction(["messages", "changes"]);
        const [found, lastChange = 0] = await Promise.all([
          tx.objectStore("messages").getAll(all(conversationId)),
          tx.objectStore("changes").get(conversationId),
        ]);
        const messages = unbrokenEnd(found);
        for (const message of messages) kept.add(message);
        return { messages, lastChange };
      }, NO_MESSAGES),
    keepMe: (me) => write((db) => db.put("me", me, "me")),
    keepConversations: (conversations) =>
      write((db) => {
        const tx = db.transaction("conversations", "readwrite");
        return Promise.all([...conversations.map((conversation) => tx.store.put(conversation)), tx.done]);
      }),
    keepMessages: (conversationId, { messages, lastChange }) =>
      write(async (db) => {
        const tx = db.transaction(["messages", "changes"], "readwrite");
        tx.done.catch(() => {}); // it may fail before it is waited for
        const store = tx.objectStore("messages");
        const fresh = messages.filter((message) => !kept.has(message));
        const older = IDBKeyRange.bound(
          [conversationId, 0],
          [conversationId, messages[0]?.seq ?? 0],
          false,
          true,
        );
        // Another tab may have heard of a change before this one.
        const before = await Promise.all(fresh.map(({ seq }) => store.get([conversationId, seq])));
        const news = fresh.filter((message, at) => {
          const known = before[at];
          return !known || changeOf(known) <= changeOf(message);
        });
        await Promise.all([
          store.delete(older),
          ...news.map((message) => store.put(message)),
          tx.objectStore("changes").put(lastChange, conversationId),
          tx.done,
        ]);
        // Not before: what a failure took back has to go with the next ones, or their `lastChange` would hide it.
        for (const message of fresh) kept.add(message);
      }),
    forgetMessages: (conversationId) =>
      write((db) => {
        const tx = db.transaction(["messages", "changes"], "readwrite");
        return Promise.all([
          tx.objectStore("messages").delete(all(conversationId)),
          tx.objectStore("changes").delete(conversationId),
          tx.done,
        ]);
      }),
    beginHistory: (name) =>
      write((db) => {
        const tx = db.transaction(["messages", "changes", "history"], "readwrite");
        return Promise.all([
          tx.objectStore("messages").clear(),
          tx.objectStore("changes").clear(),
          tx.objectStore("history").put(name, "name"),
          tx.done,
        ]);
      }),
    forgetConversation: (conversationId) =>
      write((db) => {
        const tx = db.transaction(["conversations", "messages", "changes"], "readwrite");
        return Promise.all([
          tx.objectStore("changes").delete(conversationId),
          tx.objectStore("conversations").delete(conversationId),
          tx.objectStore("messages").delete(all(conversationId)),
          tx.done,
        ]);
      }),
    keepDrafts: (conversationId, { draft, draftReply, threadDrafts }) =>
      write((db) => {
        const { store, done } = db.transaction("drafts", "readwrite");
        const others: OthersKey = [conversationId, "others"];
        const hasOthers = draftReply !== null || Object.keys(threadDrafts).length > 0;
        return Promise.all([
          draft ? store.put(draft, conversationId) : store.delete(conversationId),
          hasOthers ? store.put({ draftReply, threadDrafts }, others) : store.delete(others),
          done,
        ]);
      }),
    keepEntry: (entry, owner) => write((db) => db.put("outbox", { ...entry, owner })),
    forgetEntry: (tempId) => write((db) => db.delete("outbox", tempId)),
    adopt: (owner, living) =>
      read(async (db) => {
        // One transaction reads and writes, so no two tabs adopt the same message.
        const tx = db.transaction("outbox", "readwrite");
        const orphans = (await tx.store.getAll()).filter(
          (entry) => entry.owner !== owner && !living.has(entry.owner),
        );
        await Promise.all([...orphans.map((entry) => tx.store.put({ ...entry, owner })), tx.done]);
        return orphans.map(completed).sort((one, other) => one.order - other.order);
      }, []),
    async wipe() {
      await read(async (db) => {
        const tx = db.transaction(STORES, "readwrite");
        await Promise.all([...STORES.map((store) => tx.objectStore(store).clear()), tx.done]);
      }, undefined);
      await close();
      // Empty already; that the database itself goes may take until other tabs have let go of it.
      deleteDB(name).catch(() => {});
    },
    close,
  };
}

/** For those who want nothing to be kept. */
export function noStorage(): Storage {
  const nothing = () => {};
  const done = async () => {};
  return {
    load: async () => NOTHING,
    messages: async () => NO_MESSAGES,
    keepMe: nothing,
    keepConversations: nothing,
    keepMessages: nothing,
    forgetMessages: nothing,
    beginHistory: nothing,
    forgetConversation: nothing,
    keepDrafts: nothing,
    keepEntry: nothing,
    forgetEntry: nothing,
    adopt: async () => [],
    wipe: done,
    close: done,
  };
}

/** Browsers also close a connection by themselves, where a page was in the background for instance. */
function isClosed(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}

/** `onBlocking`: it was closed for the sake of another tab, and is not to be opened again. */
async function open(name: string, onBlocking: () => void): Promise<IDBPDatabase<Schema> | null> {
  if (typeof indexedDB === "undefined") return null;
  try {
    const opening = openDB<Schema>(name, VERSION, {
      upgrade(db, before) {
        db.createObjectStore("history");
        if (before < 2) db.createObjectStore("changes");
        if (before > 0) return;
        db.createObjectStore("me");
        db.createObjectStore("conversations", { keyPath: "id" });
        db.createObjectStore("messages", { keyPath: ["conversationId", "seq"] });
        db.createObjectStore("drafts");
        db.createObjectStore("outbox", { keyPath: "tempId" });
      },
      // Another tab signs out, or has a newer version of this library.
      blocking(_current, _blocked, event) {
        onBlocking();
        (event.target as IDBDatabase).close();
      },
    });
    const late = new Promise<null>((resolve) => setTimeout(resolve, PATIENCE, null));
    return await Promise.race([opening, late]);
  } catch {
    return null;
  }
}

function draftsOf(
  keys: readonly (string | OthersKey)[],
  values: readonly (string | OtherDrafts)[],
): Kept["drafts"] {
  const found: Kept["drafts"] = new Map();
  keys.forEach((key, at) => {
    const [id, value] = [typeof key === "string" ? key : key[0], values[at]];
    const known = found.get(id) ?? NO_DRAFTS;
    found.set(id, { ...known, ...(typeof value === "string" ? { draft: value } : value) });
  });
  return found;
}

function all(conversationId: string): IDBKeyRange {
  return IDBKeyRange.bound([conversationId, 0], [conversationId, Number.MAX_SAFE_INTEGER]);
}
