import "fake-indexeddb/auto";
import { IDBDatabase, IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConversationUpdated, Message } from "../../src/lib/frames.ts";
import { openStorage } from "../../src/lib/storage.ts";
import type { ChatOptions } from "../../src/lib/types.ts";
import { fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import { installLocks, loseAllLocks } from "./support/locks.ts";

let scene: Scene;

beforeEach(async () => {
  globalThis.indexedDB = new IDBFactory();
  installLocks();
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
});
afterEach(async () => {
  await scene.end();
  loseAllLocks();
});

/** Where nobody answers: a tab that is offline from its start. */
const NOWHERE = "ws://127.0.0.1:9/ws/chat";
const online = (options: Partial<ChatOptions> = {}) =>
  scene.join({ storage: true, userId: "alice", ...options });
const offline = (options: Partial<ChatOptions> = {}) => online({ url: NOWHERE, ...options });
const kept = (userId = "alice") => openStorage(userId);
const stored = () => scene.gateway.rooms.get("room")?.messages.map(({ content }) => content);

/** Until the outbox in the database has as many. */
async function keptEntries(count: number): Promise<void> {
  const opened = indexedDB.open("palabre:alice");
  const db = await new Promise<IDBDatabase>((resolve) => {
    opened.onsuccess = () => resolve(opened.result);
  });
  let found = -1;
  const look = () => {
    const counting = db.transaction("outbox").objectStore("outbox").count();
    counting.onsuccess = () => {
      found = counting.result;
    };
  };
  await eventually(() => {
    if (found === count) return true;
    look();
    return false;
  }, `${count} entries are kept`);
  db.close();
}

describe("messages that are not sent yet", () => {
  test("go out after the tab was closed and opened again, in their order", async () => {
    const before = offline();
    for (const content of ["1", "2", "3"]) before.chat.send("room", content);
    await keptEntries(3);
    before.chat.dispose();
    const after = online();
    after.chat.open("room");
    await after.shows("room", ["1", "2", "3"]);
    await after.settled("room");
    await keptEntries(0);
  });

  test("do so also after a crash, and though the gateway had one of them already", async () => {
    const { gateway } = scene;
    const before = online();
    await before.becomes("connected");
    gateway.on("send_message", (frame, peer) => {
      if (frame.type !== "send_message") return;
      const say = peer.say;
      peer.say = () => {}; // stored, and the answer is lost
      gateway.store(frame, peer);
      peer.say = say;
    });
    before.chat.send("room", "1");
    before.chat.send("room", "2");
    await eventually(() => stored()?.length === 1);
    await keptEntries(2);
    loseAllLocks(); // the tab is no more, though this test cannot stop its code
    before.chat.disconnect();
    gateway.on("send_message", null);
    const after = online();
    after.chat.open("room");
    await after.shows("room", ["1", "2"]);
    expect(stored()).toEqual(["1", "2"]);
  });

  test("are shown before there is a connection", async () => {
    const before = offline();
    before.chat.send("room", "still here");
    await keptEntries(1);
    before.chat.dispose();
    const after = offline();
    await eventually(() => after.room("room")?.outgoing.length === 1);
    expect(after.room("room")?.outgoing).toMatchObject([{ content: "still here", status: "waiting" }]);
  });

  test("stay those of a tab that lives, and are taken over when it ends", async () => {
    const first = offline();
    first.chat.send("room", "mine");
    await keptEntries(1);
    const second = scene.join({ storage: true, userId: "alice" }, { timing: { pingInterval: 30 } });
    await second.becomes("connected");
    second.chat.send("room", "of the second");
    await eventually(() => stored()?.length === 1);
    await eventually(() => scene.gateway.received("ping").length >= 3);
    expect(stored()).toEqual(["of the second"]);
    first.chat.dispose();
    await eventually(() => stored()?.length === 2);
    expect(stored()).toEqual(["of the second", "mine"]);
  });

  test("that are sent by two tabs at once are stored once", async () => {
    const first = offline();
    for (const content of ["1", "2", "3"]) first.chat.send("room", content);
    await keptEntries(3);
    loseAllLocks();
    const [second, third] = [online(), online()];
    await eventually(() => stored()?.length === 3);
    await Promise.all([second.settled("room"), third.settled("room")]);
    expect(stored()).toEqual(["1", "2", "3"]);
  });

  test("failed ones come back as such, with their reason", async () => {
    const before = offline();
    before.chat.send("room", "x".repeat(9000));
    await keptEntries(1);
    before.chat.dispose();
    const after = online();
    await eventually(() => after.room("room")?.outgoing[0]?.failure?.code === "CONTENT_TOO_LONG");
    expect(after.events.filter(({ type }) => type === "send_failed")).toEqual([]); // it is no news
    const [entry] = after.room("room")?.outgoing ?? [];
    after.chat.discard(entry?.tempId ?? "");
    await keptEntries(0);
  });
});

describe("what was seen before", () => {
  test("and read without a connection is told after a reload", async () => {
    fill(scene.gateway, "room", 5);
    const before = online();
    await eventually(() => before.unread("room") === 5);
    before.chat.dispose();
    const away = offline();
    await eventually(() => away.unread("room") === 5);
    away.chat.markRead("room", 4);
    away.chat.dispose();
    const after = online();
    await eventually(() => scene.gateway.rooms.get("room")?.members[0]?.lastReadSeq === 4);
    expect(after.unread("room")).toBe(1);
  });

  test("conversations, messages and drafts show at once, then only what is new is fetched", async () => {
    fill(scene.gateway, "room", 5);
    const before = online();
    before.chat.open("room");
    await eventually(() => before.contents("room").length === 5 && before.unread("room") === 5);
    before.chat.markRead("room", 3);
    before.chat.setDraft("room", "not finish");
    before.chat.dispose();

    const away = offline();
    away.chat.open("room");
    await eventually(() => away.contents("room").length === 5);
    expect(away.room("room")).toMatchObject({ status: "joining", isLoaded: true, draft: "not finish" });
    expect(away.unread("room")).toBe(2);
    expect(away.chat.getSnapshot().me).toMatchObject({ userId: "alice", userName: "Alice" });
    away.chat.dispose();

    fill(scene.gateway, "room", 2);
    const after = online();
    after.chat.open("room");
    await eventually(() => after.contents("room").length === 7);
    expect(scene.gateway.received("join_conversation").at(-1)).toMatchObject({ afterSeq: 5 });
    // Seen before is not told again.
    expect(after.events.filter(({ type }) => type === "message")).toHaveLength(2);
  });

  test("no more than the newest 200 of a conversation are kept", async () => {
    fill(scene.gateway, "room", 450);
    const before = online({ pageSize: 200 });
    before.chat.open("room");
    await eventually(() => before.contents("room").length === 200);
    await before.chat.loadOlder("room");
    scene.gateway.speak("room", "bob", "newest");
    await eventually(() => before.seqs("room").length === 401);
    before.chat.dispose();
    const away = offline();
    away.chat.open("room");
    await eventually(() => away.contents("room").length > 0);
    expect(away.seqs("room")).toEqual(range(252, 451));
    expect(away.room("room")?.hasOlder).toBe(true);
  });

  test("is forgotten where a backup was restored meanwhile", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 3);
    const before = online();
    before.chat.open("room");
    await before.shows("room", ["m1", "m2", "m3"]);
    before.chat.dispose();
    gateway.restore("restored", "room", 1);
    for (const content of ["two", "three", "four"]) gateway.write("room", "bob", content);
    for (let visit = 0; visit < 2; visit++) {
      const after = online();
      after.chat.open("room");
      await after.shows("room", ["m1", "two", "three", "four"]);
      // What the device kept is shown before it is joined.
      await eventually(() => after.room("room")?.status === "joined");
      after.chat.dispose();
      const joins = gateway.received("join_conversation");
      expect("afterSeq" in (joins.at(-1) ?? {})).toBe(visit > 0);
    }
  });

  const update = (updateType: ConversationUpdated["updateType"], actorId: string) => ({
    type: "conversation_updated" as const,
    conversationId: "room",
    updateType,
    userIds: ["alice"],
    actorId,
  });
  const removedBy = (actorId: string) => update("member_removed", actorId);

  test("is forgotten with the conversation", async () => {
    fill(scene.gateway, "room", 5);
    const alice = online();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 5);
    (await scene.gateway.peer(1)).say(removedBy("bob"));
    await eventually(() => alice.room("room")?.gone === "removed");
    alice.chat.dispose();
    await expect.poll(() => kept().messages("room")).toEqual({ messages: [], lastChange: 0 });
    expect((await kept().load()).conversations).toEqual([]);
  });

  test("and begun stays for whom others removed, who may be brought back", async () => {
    const alice = online();
    await eventually(() => alice.chat.getSnapshot().conversations.isLoaded);
    alice.chat.setDraft("room", "written before");
    await expect.poll(async () => (await kept().load()).drafts.get("room")?.draft).toBe("written before");
    alice.chat.setDraft("room", "not finish"); // not kept yet when the removal comes
    (await scene.gateway.peer(1)).say(removedBy("bob"));
    await eventually(() => alice.room("room")?.gone === "removed");
    await expect.poll(async () => (await kept().load()).drafts.get("room")?.draft).toBe("not finish");
    alice.chat.dispose();
    const after = online();
    after.chat.open("room");
    await eventually(() => after.room("room")?.draft === "not finish");
  });

  test("and begun stays with what it replies to, and so does what was begun in threads", async () => {
    const before = online();
    await eventually(() => before.chat.getSnapshot().conversations.isLoaded);
    const reply = { messageId: "m1", seq: 1, senderId: "bob", senderName: "Bob", preview: "where?" };
    before.chat.setDraft("room", { text: "not finish", reply });
    before.chat.setDraft("room", "nor this", "m1");
    const drafts = {
      draft: "not finish",
      draftReply: reply,
      threadDrafts: { m1: { text: "nor this", reply: null } },
    };
    await expect.poll(async () => (await kept().load()).drafts.get("room")).toEqual(drafts);
    before.chat.dispose();
    const after = online();
    after.chat.setDraft("room", "begun anew", "m2"); // before what was kept has come
    const both = { ...drafts.threadDrafts, m2: { text: "begun anew", reply: null } };
    await eventually(() => after.room("room")?.draft === "not finish");
    expect(after.room("room")).toMatchObject({ ...drafts, threadDrafts: both });
    after.chat.setDraft("room", { text: "", reply: null });
    for (const thread of ["m1", "m2"]) after.chat.setDraft("room", "", thread);
    await expect.poll(async () => (await kept().load()).drafts.size).toBe(0);
  });

  test.each([
    ["left", removedBy("alice")],
    ["deleted", update("deleted", "bob")],
  ])("and begun goes with what was %s", async (reason, frame) => {
    const alice = online();
    await eventually(() => alice.chat.getSnapshot().conversations.isLoaded);
    alice.chat.setDraft("room", "nor this", "m1");
    alice.chat.setDraft("room", "not finish");
    await expect.poll(async () => (await kept().load()).drafts.get("room")?.draft).toBe("not finish");
    (await scene.gateway.peer(1)).say(frame);
    await eventually(() => alice.room("room")?.gone === reason);
    expect(alice.room("room")).toMatchObject({ draft: "", threadDrafts: {} });
    await expect.poll(async () => (await kept().load()).drafts.size).toBe(0);
  });

  test("is nobody else's", async () => {
    fill(scene.gateway, "room", 5);
    const alice = online();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 5);
    alice.chat.dispose();
    const bob = offline({ userId: "bob", getToken: () => "bob" });
    bob.chat.open("room");
    await bob.becomes("waiting");
    expect(await kept("bob").load()).toMatchObject({ me: null, conversations: [] });
    expect(bob.contents("room")).toEqual([]);
  });

  test("signing out wipes all of it, and signs out the person's other tabs", async () => {
    fill(scene.gateway, "room", 5);
    const [alice, otherTab] = [online(), online()];
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 5);
    await otherTab.becomes("connected");
    alice.chat.setDraft("room", "secret");
    await expect.poll(async () => (await kept().messages("room")).messages.length).toBe(5);
    await alice.chat.signOut();
    expect(alice.chat.getSnapshot()).toMatchObject({ me: null, rooms: {}, conversations: { items: [] } });
    await otherTab.becomes("stopped");
    expect(otherTab.chat.getSnapshot()).toMatchObject({
      me: null,
      connection: { reason: { failure: { code: "NO_TOKEN" } } },
    });
    const after = await kept().load();
    expect(after).toEqual({ me: null, conversations: [], drafts: new Map(), history: null });
    expect((await kept().messages("room")).messages).toEqual([]);
  });

  test("reading in one tab is reading in the other", async () => {
    fill(scene.gateway, "room", 5);
    const [one, other] = [online(), online()];
    await eventually(() => one.unread("room") === 5 && other.unread("room") === 5);
    one.chat.markRead("room");
    await eventually(() => other.unread("room") === 0);
  });
});

describe("what goes wrong with the database", () => {
  afterEach(() => void vi.restoreAllMocks());

  const message = (seq: number, more: Partial<Message> = {}): Message => ({
    id: `m${seq}`,
    conversationId: "room",
    seq,
    senderId: "bob",
    senderName: "Bob",
    senderAvatar: null,
    content: `text ${seq}`,
    createdAt: "2026-01-01T00:00:00.000Z",
    ...more,
  });
  const connections = () => vi.spyOn(IDBDatabase.prototype, "transaction");

  test("is written with what comes next, or the change that failed would be lost for good", async () => {
    const [one, two, three] = [message(1), message(2), message(3)];
    const deleted = message(1, { content: "", isDeleted: true, changeSeq: 1 });
    const storage = kept();
    storage.keepMessages("room", { messages: [one, two], lastChange: 0 });
    await expect.poll(async () => (await kept().messages("room")).messages).toHaveLength(2);

    const transaction = connections();
    storage.keepMessages("room", { messages: [deleted, two], lastChange: 1 });
    await expect.poll(() => transaction.mock.results.length).toBe(1);
    const [failing] = transaction.mock.results;
    if (failing?.type === "return") failing.value.abort(); // as it is where the disk is full
    await expect.poll(async () => (await kept().messages("room")).lastChange).toBe(0);
    storage.keepMessages("room", { messages: [deleted, two, three], lastChange: 1 });
    await storage.close();
    expect(await kept().messages("room")).toEqual({ messages: [deleted, two, three], lastChange: 1 });
  });

  test("is no more where a browser closes the connection: another one is opened", async () => {
    const transaction = connections();
    const storage = kept();
    await storage.load();
    (transaction.mock.contexts[0] as IDBDatabase).close();
    storage.keepDrafts("room", { draft: "not", draftReply: null, threadDrafts: {} });
    storage.keepDrafts("room", { draft: "not finish", draftReply: null, threadDrafts: {} });
    expect((await storage.load()).drafts.get("room")?.draft).toBe("not finish");
    await storage.close();
    expect((await kept().load()).drafts.get("room")?.draft).toBe("not finish");
  });

  test("is left alone where another tab signs out", async () => {
    const [here, elsewhere] = [kept(), kept()];
    await here.load();
    await elsewhere.load();
    await elsewhere.wipe();
    here.keepDrafts("room", { draft: "not finish", draftReply: null, threadDrafts: {} });
    await here.close();
    expect((await kept().load()).drafts.size).toBe(0);
  });
});

test("a token of somebody else than was said stops it, before anything is shown to them", async () => {
  const alice = online({ getToken: () => "bob" });
  await alice.becomes("stopped");
  expect(alice.chat.getSnapshot().connection.reason?.failure?.code).toBe("INVALID_TOKEN");
});

test("without IndexedDB everything works, from memory", async () => {
  Reflect.deleteProperty(globalThis, "indexedDB");
  fill(scene.gateway, "room", 2);
  const alice = online();
  alice.chat.open("room");
  alice.chat.send("room", "hello");
  await alice.shows("room", ["m1", "m2", "hello"]);
});

test("so it does where opening it fails", async () => {
  globalThis.indexedDB = new IDBFactory();
  globalThis.indexedDB.open = () => {
    throw new DOMException("a private window", "SecurityError");
  };
  const alice = online();
  alice.chat.open("room");
  alice.chat.send("room", "hello");
  await alice.shows("room", ["hello"]);
  await alice.chat.signOut();
});
