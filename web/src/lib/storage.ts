/**
 * What this device keeps of one person, in IndexedDB. Where there is none (a private window, a full disk), everything
 * works all the same, from memory and until the tab is closed: no failure here is anybody's to handle.
 */
import { type DBSchema, deleteDB, type IDBPDatabase, openDB } from "idb";
import type { Entry } from "./entry.ts";
import type { Message } from "./frames.ts";
import { unbrokenEnd } from "./timeline.ts";
import type { Conversation, Person } from "./types.ts";

interface Schema extends DBSchema {
  me: { key: string; value: Person };
  conversations: { key: string; value: Conversation };
  messages: { key: [conversationId: string, seq: number]; value: Message };
  drafts: { key: string; value: string };
  /** `owner` is the tab that sends it. */
  outbox: { key: string; value: Entry & { owner: string } };
}

const STORES = ["me", "conversations", "messages", "drafts", "outbox"] as const;
const VERSION = 1;
/** Opening waits for ever while another tab refuses to let go of an older version. */
const PATIENCE = 3000;
/** To leave nothing lying about for those who were given none. */
const NOTHING: Kept = { me: null, conversations: [], drafts: new Map() };

export interface Kept {
  me: Person | null;
  conversations: Conversation[];
  drafts: Map<string, string>;
}

export interface Storage {
  load(): Promise<Kept>;
  /** The newest that are kept of a conversation, without holes. */
  messages(conversationId: string): Promise<Message[]>;
  keepMe(me: Person): void;
  keepConversations(conversations: readonly Conversation[]): void;
  /** These, and no older ones. */
  keepMessages(conversationId: string, messages: readonly Message[]): void;
  forgetMessages(conversationId: string): void;
  /** It, its messages and its draft. */
  forgetConversation(conversationId: string): void;
  /** An empty one is forgotten. */
  keepDraft(conversationId: string, draft: string): void;
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
  const opening = open(name);
  const writing = new Set<Promise<void>>();
  const kept = new WeakSet<Message>(); // which need not be written again

  /** Failures are as if nothing was kept; see above. */
  async function read<Result>(work: (db: IDBPDatabase<Schema>) => Promise<Result>, otherwise: Result) {
    try {
      const db = await opening;
      return db ? await work(db) : otherwise;
    } catch {
      return otherwise;
    }
  }

  function write(work: (db: IDBPDatabase<Schema>) => Promise<unknown>): void {
    const done = read(async (db) => void (await work(db)), undefined);
    writing.add(done);
    void done.then(() => writing.delete(done));
  }

  const close = async () => {
    await Promise.all(writing);
    (await opening)?.close();
  };

  return {
    load: () =>
      read(async (db) => {
        const tx = db.transaction(["me", "conversations", "drafts"]);
        const [me, conversations, ids, drafts] = await Promise.all([
          tx.objectStore("me").get("me"),
          tx.objectStore("conversations").getAll(),
          tx.objectStore("drafts").getAllKeys(),
          tx.objectStore("drafts").getAll(),
        ]);
        return {
          me: me ?? null,
          // What an older version of this library kept knew of no readers.
          conversations: conversations.map((conversation) => ({
            ...conversation,
            readers: conversation.readers ?? {},
          })),
          drafts: new Map(ids.map((id, at) => [id, drafts[at] ?? ""])),
        };
      }, NOTHING),
    messages: (conversationId) =>
      read(async (db) => {
        const found = unbrokenEnd(await db.getAll("messages", all(conversationId)));
        for (const message of found) kept.add(message);
        return found;
      }, []),
    keepMe: (me) => write((db) => db.put("me", me, "me")),
    keepConversations: (conversations) =>
      write((db) => {
        const tx = db.transaction("conversations", "readwrite");
        return Promise.all([...conversations.map((conversation) => tx.store.put(conversation)), tx.done]);
      }),
    keepMessages: (conversationId, messages) =>
      write((db) => {
        const tx = db.transaction("messages", "readwrite");
        const fresh = messages.filter((message) => !kept.has(message));
        for (const message of fresh) kept.add(message);
        const older = IDBKeyRange.bound(
          [conversationId, 0],
          [conversationId, messages[0]?.seq ?? 0],
          false,
          true,
        );
        return Promise.all([
          tx.store.delete(older),
          ...fresh.map((message) => tx.store.put(message)),
          tx.done,
        ]);
      }),
    forgetMessages: (conversationId) => write((db) => db.delete("messages", all(conversationId))),
    forgetConversation: (conversationId) =>
      write((db) => {
        const tx = db.transaction(["conversations", "messages", "drafts"], "readwrite");
        return Promise.all([
          tx.objectStore("conversations").delete(conversationId),
          tx.objectStore("messages").delete(all(conversationId)),
          tx.objectStore("drafts").delete(conversationId),
          tx.done,
        ]);
      }),
    keepDraft: (conversationId, draft) =>
      write((db) => (draft ? db.put("drafts", draft, conversationId) : db.delete("drafts", conversationId))),
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
        return orphans.sort((one, other) => one.order - other.order);
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
    messages: async () => [],
    keepMe: nothing,
    keepConversations: nothing,
    keepMessages: nothing,
    forgetMessages: nothing,
    forgetConversation: nothing,
    keepDraft: nothing,
    keepEntry: nothing,
    forgetEntry: nothing,
    adopt: async () => [],
    wipe: done,
    close: done,
  };
}

async function open(name: string): Promise<IDBPDatabase<Schema> | null> {
  if (typeof indexedDB === "undefined") return null;
  try {
    const opening = openDB<Schema>(name, VERSION, {
      upgrade(db) {
        db.createObjectStore("me");
        db.createObjectStore("conversations", { keyPath: "id" });
        db.createObjectStore("messages", { keyPath: ["conversationId", "seq"] });
        db.createObjectStore("drafts");
        db.createObjectStore("outbox", { keyPath: "tempId" });
      },
      // Another tab signs out, or has a newer version of this library.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    });
    const late = new Promise<null>((resolve) => setTimeout(resolve, PATIENCE, null));
    return await Promise.race([opening, late]);
  } catch {
    return null;
  }
}

function all(conversationId: string): IDBKeyRange {
  return IDBKeyRange.bound([conversationId, 0], [conversationId, Number.MAX_SAFE_INTEGER]);
}
