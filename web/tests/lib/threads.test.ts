import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message } from "../../src/lib/frames.ts";
import { type Client, fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene;
let alice: Client;
const room = "room";

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom(room, ["alice", "bob"]);
});
afterEach(() => scene.end());

/** Stored, and told to nobody. */
function reply(replyTo: string, content: string): Message {
  return Object.assign(scene.gateway.write(room, "bob", content), { replyTo });
}
const told = (message: Message) => scene.gateway.publish(message);
const threadOf = (id: string) => alice.room(room)?.threads[id];
const words = (id: string) => threadOf(id)?.replies.map(({ content }) => content);
const countOf = (seq: number) =>
  alice.room(room)?.messages.find((message) => message.seq === seq)?.replies ?? { count: 0, lastSeq: 0 };

async function join(count = 1): Promise<void> {
  fill(scene.gateway, room, count);
  alice = scene.join();
  alice.chat.open(room);
  await eventually(() => alice.contents(room).length === Math.min(count, 50));
}

describe("a thread", () => {
  test("holds all replies, and those that come", async () => {
    await join();
    for (const at of range(1, 450)) reply("room-1", `reply ${at}`);
    const close = alice.chat.openThread(room, "room-1");
    await eventually(() => threadOf("room-1")?.isLoaded);
    expect(words("room-1")).toEqual(range(1, 450).map((at) => `reply ${at}`));
    expect(threadOf("room-1")?.parent?.content).toBe("m1");
    alice.chat.send(room, "mine", { replyTo: "room-1" });
    await eventually(() => words("room-1")?.at(-1) === "mine");
    expect(threadOf("room-1")?.parent?.replies?.count).toBe(451);
    alice.chat.send(room, "not in it");
    await alice.settled(room);
    expect(words("room-1")?.at(-1)).toBe("mine");
    close();
    await eventually(() => threadOf("room-1") === undefined);
    expect(alice.room(room)?.status).toBe("joined"); // others have it open
  });

  test("shows what changes, what one does oneself at once", async () => {
    await join();
    const first = reply("room-1", "first");
    alice.chat.openThread(room, "room-1");
    await eventually(() => threadOf("room-1")?.isLoaded);
    const { id: messageId } = first;
    scene.gateway.change("bob", { type: "edit_message", conversationId: room, messageId, content: "other" });
    await eventually(() => words("room-1")?.[0] === "other");
    alice.chat.addReaction(room, messageId, "👍");
    expect(threadOf("room-1")?.replies[0]?.reactions).toEqual({ "👍": ["alice"] });
    scene.gateway.change("bob", { type: "delete_message", conversationId: room, messageId: "room-1" });
    await eventually(() => threadOf("room-1")?.parent?.isDeleted);
  });

  test("is loaded again after a failure, and after the connection was away", async () => {
    await join();
    reply("room-1", "first");
    let failures = 0;
    scene.gateway.refuseRest(({ path }) =>
      path.endsWith("/replies") && failures++ < 1 ? { status: 503, headers: { "retry-after": "0" } } : null,
    );
    alice.chat.openThread(room, "room-1");
    await eventually(() => threadOf("room-1")?.isLoaded);
    expect(failures).toBe(2);
    (await scene.gateway.peer(1)).cut();
    reply("room-1", "missed");
    await eventually(() => words("room-1")?.at(-1) === "missed");
    expect(words("room-1")).toEqual(["first", "missed"]);
  });
});

describe("replies are counted", () => {
  test("as they come, each once", async () => {
    await join();
    told(reply("room-1", "first"));
    const second = reply("room-1", "second");
    told(second);
    told(second);
    await eventually(() => alice.contents(room).length === 3);
    expect(countOf(1)).toEqual({ count: 2, lastSeq: 3 });
  });

  test("on top of the gateway's count, which stays where it is newer", async () => {
    await join(2);
    const parent = scene.gateway.rooms.get(room)?.messages[0];
    if (!parent) throw new Error("no message");
    parent.replies = { count: 7, lastSeq: 3 };
    reply("room-1", "the seventh");
    const peer = await scene.gateway.peer(1);
    scene.gateway.change("bob", {
      type: "edit_message",
      conversationId: room,
      messageId: "room-1",
      content: "one",
    });
    await eventually(() => countOf(1).count === 7);
    const messages = scene.gateway.rooms.get(room)?.messages ?? [];
    peer.say({ type: "new_message", message: messages[2] as Message });
    told(reply("room-1", "the eighth"));
    await eventually(() => alice.contents(room).length === 4);
    expect(countOf(1)).toEqual({ count: 8, lastSeq: 4 });
  });

  test("of a message that comes with an older page, too", async () => {
    await join(60);
    told(reply("room-2", "late"));
    await eventually(() => alice.contents(room).at(-1) === "late");
    await alice.chat.loadOlder(room);
    expect(countOf(2)).toEqual({ count: 1, lastSeq: 61 });
  });
});

test("what is on its way quotes what it replies to", async () => {
  await join();
  alice.chat.disconnect();
  alice.chat.send(room, "yes", { replyTo: "room-1", mentions: ["bob"] });
  expect(alice.room(room)?.outgoing[0]).toMatchObject({
    mentions: ["bob"],
    reply: { messageId: "room-1", seq: 1, senderId: "bob", senderName: "Bob", preview: "m1" },
  });
  alice.chat.connect();
  await alice.shows(room, ["m1", "yes"]);
  expect(scene.gateway.received("send_message").at(-1)).toMatchObject({
    replyTo: "room-1",
    mentions: ["bob"],
  });
});

describe("mentions that were not read", () => {
  const unread = (id: string) =>
    alice.chat.getSnapshot().conversations.items.find((item) => item.id === id)?.unreadMentions;
  const mention = (mentions: string[]) =>
    Object.assign(scene.gateway.write(room, "bob", "hey"), { mentions });

  test("are counted where one is, and gone when everything is read", async () => {
    await join();
    told(mention(["bob", "alice"]));
    told(mention(["bob"]));
    await eventually(() => alice.contents(room).length === 3);
    await eventually(() => unread(room) === 1); // the list may come after the messages
    alice.chat.markRead(room);
    expect(unread(room)).toBe(0);
  });

  test("are counted where one is not, by what notifications say", async () => {
    alice = scene.join();
    await eventually(() => unread(room) === 0);
    const peer = await scene.gateway.peer(1);
    const { id, seq } = mention(["alice"]);
    const about = { conversationId: room, conversationName: room, messageId: id, seq, unreadCount: 1 };
    peer.say({ type: "notification", kind: "mention", ...about });
    peer.say({ type: "notification", kind: "mention", ...about });
    await eventually(() => unread(room) === 1);
    peer.say({ type: "notification", kind: "message", ...about, seq: seq + 1, unreadCount: 2 });
    await eventually(() => alice.unread(room) === 2);
    expect(unread(room)).toBe(1);
  });
});
