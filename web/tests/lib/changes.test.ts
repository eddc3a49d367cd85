import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ErrorCode, Message } from "../../src/lib/frames.ts";
import { openStorage } from "../../src/lib/storage.ts";
import { type Client, fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import "fake-indexeddb/auto";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
});
afterEach(() => scene.end());

const room = "room";
const messageOf = (client: Client, seq: number) => {
  const found = client.room(room)?.messages.find((message) => message.seq === seq);
  if (!found) throw new Error(`message ${seq} is not shown`);
  return found;
};
const frame = (seq: number) => ({ conversationId: room, messageId: `${room}-${seq}` });
const edit = (seq: number, content: string) => ({ type: "edit_message", content, ...frame(seq) }) as const;
const react = (seq: number, emoji: string) => ({ type: "add_reaction", emoji, ...frame(seq) }) as const;
const remove = (seq: number) => ({ type: "delete_message", ...frame(seq) }) as const;

/** Somebody with three messages before them, live. */
async function withThree(senderId = "bob", options = {}, internals = {}): Promise<Client> {
  fill(scene.gateway, room, 3, senderId);
  const client = scene.join(options, internals);
  client.chat.open(room);
  await client.shows(room, ["m1", "m2", "m3"]);
  return client;
}

const joins = () =>
  scene.gateway
    .received("join_conversation")
    .map((join) => (join.type === "join_conversation" ? join.afterChange : null));
const known = (client: Client) => client.room(room)?.lastChange;

describe("what others change", () => {
  test("a message is shown as it is now; what it no longer has is gone", async () => {
    alice = await withThree();
    scene.gateway.change("bob", react(2, "👍"));
    await eventually(() => messageOf(alice, 2).reactions);
    expect(messageOf(alice, 2).reactions).toEqual({ "👍": ["bob"] });
    scene.gateway.change("bob", { type: "remove_reaction", emoji: "👍", ...frame(2) });
    await eventually(() => messageOf(alice, 2).reactions === undefined);
    scene.gateway.change("bob", edit(1, "one"));
    scene.gateway.change("bob", remove(3));
    await alice.shows(room, ["one", "m2", ""]);
    expect(messageOf(alice, 1).editedAt).toBeDefined();
    expect(messageOf(alice, 3).isDeleted).toBe(true);
    expect(known(alice)).toBe(4);
  });

  test("an older state that comes late changes nothing", async () => {
    alice = await withThree();
    const peer = await scene.gateway.peer(1);
    const older = scene.gateway.changed(edit(1, "older"), "bob");
    const newer = scene.gateway.changed(edit(1, "newer"), "bob");
    peer.say({ type: "message_updated", message: newer, change: "edited" });
    await alice.shows(room, ["newer", "m2", "m3"]);
    peer.say({ type: "message_updated", message: older, change: "edited" });
    scene.gateway.speak(room, "bob", "end");
    await alice.shows(room, ["newer", "m2", "m3", "end"]);
    expect(messageOf(alice, 1).changeSeq).toBe(2);
  });

  test("a page that was asked for before the change does not undo it", async () => {
    fill(scene.gateway, room, 60);
    alice = scene.join();
    alice.chat.open(room);
    await eventually(() => alice.contents(room).length === 50);
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadOlder(room);
    await eventually(() => scene.gateway.calls.some(({ query }) => query.has("beforeSeq")));
    scene.gateway.change("bob", edit(3, "three"));
    scene.gateway.speak(room, "bob", "end");
    await eventually(() => alice.contents(room).at(-1) === "end");
    release();
    await loading;
    expect(messageOf(alice, 3).content).toBe("three");
  });

  test("nothing quotes what was deleted", async () => {
    fill(scene.gateway, room, 1);
    const quoted = { messageId: "room-1", seq: 1, senderId: "bob", senderName: "Bob", preview: "m1" };
    const reply = scene.gateway.write(room, "bob", "reply");
    Object.assign(reply, { replyTo: "room-1", reply: quoted });
    alice = scene.join();
    alice.chat.open(room);
    await alice.shows(room, ["m1", "reply"]);
    expect(messageOf(alice, 2).reply?.preview).toBe("m1");
    scene.gateway.change("bob", remove(1));
    await alice.shows(room, ["", "reply"]);
    expect(messageOf(alice, 2).reply).toEqual({ ...quoted, preview: "", isDeleted: true });
  });
});

describe("resuming", () => {
  test("what changed while the connection was away comes with the next one", async () => {
    alice = await withThree();
    scene.gateway.change("bob", edit(1, "one"));
    await alice.shows(room, ["one", "m2", "m3"]);
    (await scene.gateway.peer(1)).cut();
    scene.gateway.changed(edit(1, "uno"), "bob");
    scene.gateway.changed(remove(2), "bob");
    fill(scene.gateway, room, 1);
    await alice.shows(room, ["uno", "", "m3", "m4"]);
    expect(joins()).toEqual([undefined, 1]);
    await eventually(() => known(alice) === 3);
  });

  test("a change counts as known only when all that follows the join has come", async () => {
    fill(scene.gateway, room, 3);
    for (const seq of [1, 2, 3]) scene.gateway.changed(edit(seq, `changed ${seq}`), "bob");
    alice = scene.join();
    scene.gateway.on("ping", () => {}); // no answer: perhaps something is still to come
    alice.chat.open(room);
    await alice.shows(room, ["changed 1", "changed 2", "changed 3"]);
    scene.gateway.change("bob", edit(1, "again"));
    await alice.shows(room, ["again", "changed 2", "changed 3"]);
    expect(known(alice)).toBe(0);
    scene.gateway.on("ping", null);
    (await scene.gateway.peer(1)).cut();
    await eventually(() => known(alice) === 4);
    expect(joins()).toEqual([undefined, 0]);
  });

  test("changes that are too many to be told are fetched", async () => {
    alice = await withThree();
    fill(scene.gateway, room, 400);
    (await scene.gateway.peer(1)).cut();
    await eventually(() => alice.contents(room).length === 403);
    scene.gateway.resumeLimit = 100;
    const peer = await scene.gateway.peer(2);
    for (const seq of range(1, 300)) scene.gateway.changed(edit(seq, `changed ${seq}`), "bob");
    let failures = 0;
    scene.gateway.refuseRest(({ path }) =>
      path.endsWith("/messages") && failures++ < 1 ? { status: 503, headers: { "retry-after": "0" } } : null,
    );
    peer.cut();
    await eventually(() => known(alice) === 300);
    const contents = range(1, 403).map((seq) => (seq <= 300 ? `changed ${seq}` : `m${seq}`));
    expect(alice.contents(room)).toEqual(contents);
    expect(failures).toBeGreaterThan(1);
  });

  test("a change that was lost while connected is found by a ping", async () => {
    alice = await withThree("bob", {}, { timing: { pingInterval: 40 } });
    scene.gateway.changed(edit(2, "two"), "bob");
    await alice.shows(room, ["m1", "two", "m3"]);
    expect(known(alice)).toBe(1);
  });

  test("what the device keeps is brought up to date, too", async () => {
    const user = { userId: "alice", storage: true };
    const first = await withThree("bob", user);
    scene.gateway.change("bob", edit(1, "one"));
    await first.shows(room, ["one", "m2", "m3"]);
    first.chat.dispose();
    scene.gateway.changed(edit(2, "two"), "bob");
    const second = scene.join(user);
    second.chat.open(room);
    await second.shows(room, ["one", "two", "m3"]);
    expect(joins()).toEqual([undefined, 1]);
    await second.chat.signOut();
  });

  test("of two tabs the one that is behind does not take back what the other has kept", async () => {
    const storage = openStorage("two-tabs");
    const other = openStorage("two-tabs");
    const message: Message = {
      ...scene.gateway.write(room, "bob", "before"),
      changeSeq: 1,
    };
    storage.keepMessages(room, { messages: [{ ...message, content: "after", changeSeq: 2 }], lastChange: 2 });
    await storage.close();
    other.keepMessages(room, { messages: [message], lastChange: 1 });
    expect(await other.messages(room)).toMatchObject({
      messages: [{ content: "after", changeSeq: 2 }],
      lastChange: 1,
    });
    await other.wipe();
  });
});

describe("what one does oneself", () => {
  test("it shows at once, and stays when the gateway has done it", async () => {
    alice = await withThree("alice");
    const release = hold();
    alice.chat.editMessage(room, "room-1", "  one ");
    alice.chat.addReaction(room, "room-2", "🎉");
    alice.chat.deleteMessage(room, "room-3");
    expect(alice.contents(room)).toEqual(["one", "m2", ""]);
    expect(messageOf(alice, 1).editedAt).toBeDefined();
    expect(messageOf(alice, 2).reactions).toEqual({ "🎉": ["alice"] });
    expect(messageOf(alice, 3).isDeleted).toBe(true);
    await release();
    await eventually(() => known(alice) === 3);
    expect(alice.contents(room)).toEqual(["one", "m2", ""]);
    expect(messageOf(alice, 2)).toMatchObject({ reactions: { "🎉": ["alice"] }, changeSeq: 2 });
    expect(failures()).toEqual([]);
  });

  test.each<ErrorCode>(["FORBIDDEN", "UNKNOWN_TYPE", "NOT_FOUND"])(
    "it is taken back, and said, when it is refused with %s",
    async (code) => {
      alice = await withThree("alice");
      refuse("delete_message", code);
      refuse("add_reaction", code);
      alice.chat.addReaction(room, "room-1", "🎉");
      alice.chat.deleteMessage(room, "room-2");
      expect(alice.contents(room)).toEqual(["m1", "", "m3"]);
      await alice.shows(room, ["m1", "m2", "m3"]);
      await eventually(() => messageOf(alice, 1).reactions === undefined);
      expect(failures()).toMatchObject([
        { messageId: "room-1", change: "reaction", failure: { code, retryable: false } },
        { messageId: "room-2", change: "delete", failure: { code } },
      ]);
    },
  );

  test("what is refused for now is asked for again", async () => {
    alice = await withThree("alice");
    let refusals = 0;
    scene.gateway.on("edit_message", (asked, peer) => {
      if (refusals++ > 1) return scene.gateway.answer(asked, peer);
      const requestId = asked.requestId ?? "";
      peer.say({ type: "error", code: "RATE_LIMITED", error: "too many", retryAfterMs: 10, requestId });
    });
    alice.chat.editMessage(room, "room-1", "one");
    await eventually(() => known(alice) === 1);
    expect(alice.contents(room)[0]).toBe("one");
    expect(refusals).toBe(3);
  });

  test("without a connection it waits for the next one", async () => {
    alice = await withThree("alice");
    alice.chat.disconnect();
    alice.chat.editMessage(room, "room-1", "one");
    alice.chat.addReaction(room, "room-2", "🎉");
    alice.chat.removeReaction(room, "room-2", "🎉"); // which is all that counts
    expect(alice.contents(room)).toEqual(["one", "m2", "m3"]);
    expect(messageOf(alice, 2).reactions).toBeUndefined();
    alice.chat.connect();
    await eventually(() => known(alice) === 2);
    expect(scene.gateway.received("add_reaction")).toEqual([]);
    expect(scene.gateway.received("remove_reaction")).toHaveLength(1);
  });

  test("what somebody else does meanwhile is not lost below it", async () => {
    alice = await withThree("alice");
    const release = hold();
    alice.chat.addReaction(room, "room-1", "👍");
    scene.gateway.change("bob", react(1, "👍"));
    await eventually(() => messageOf(alice, 1).reactions?.["👍"]?.length === 2);
    await release();
    await eventually(() => messageOf(alice, 1).changeSeq === 2);
    expect(messageOf(alice, 1).reactions).toEqual({ "👍": ["bob", "alice"] });
  });

  test("an edit to nothing is no edit", async () => {
    alice = await withThree("alice");
    expect(() => alice.chat.editMessage(room, "room-1", " \n")).toThrow("content");
    expect(alice.contents(room)).toEqual(["m1", "m2", "m3"]);
  });

  test("an edit that is too long is refused before it is sent, and takes back nothing", async () => {
    alice = await withThree("alice");
    const release = hold();
    alice.chat.editMessage(room, "room-1", "one");
    alice.chat.editMessage(room, "room-1", "x".repeat(70_000));
    expect(alice.contents(room)).toEqual(["one", "m2", "m3"]);
    expect(failures()).toMatchObject([
      { messageId: "room-1", change: "edit", failure: { code: "CONTENT_TOO_LONG", retryable: false } },
    ]);
    await release();
    await eventually(() => known(alice) === 1);
    expect(scene.gateway.received("edit_message")).toHaveLength(1);
  });

  test("the device keeps what the gateway has, not what was hoped for", async () => {
    const user = { userId: "alice", storage: true };
    alice = await withThree("alice", user);
    scene.gateway.on("edit_message", () => {});
    alice.chat.editMessage(room, "room-1", "hoped for");
    alice.chat.dispose();
    const again = scene.join({ ...user, url: "ws://127.0.0.1:9/ws/chat" });
    again.chat.open(room);
    await again.shows(room, ["m1", "m2", "m3"]);
    await again.chat.signOut();
  });
});

const failures = () => alice.events.filter(({ type }) => type === "change_failed");

function refuse(type: "delete_message" | "add_reaction", code: ErrorCode): void {
  scene.gateway.on(type, (asked, peer) =>
    peer.say({ type: "error", code, error: "no", requestId: asked.requestId ?? "" }),
  );
}

/** Changes are done when the returned function is called. */
function hold(): () => Promise<void> {
  const types = ["edit_message", "add_reaction", "delete_message"] as const;
  const held: (() => void)[] = [];
  for (const type of types)
    scene.gateway.on(type, (asked, peer) => held.push(() => scene.gateway.answer(asked, peer)));
  return async () => {
    await eventually(() => held.length > 0);
    for (const type of types) scene.gateway.on(type, null);
    for (const one of held) one();
  };
}
