import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Surroundings } from "../../src/lib/surroundings.ts";
import type { Conversation } from "../../src/lib/types.ts";
import { type Client, fill, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import type { TestGateway } from "./support/gateway.ts";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob", "carol"]);
  fill(scene.gateway, "room", 5);
  alice = scene.join();
  await eventually(() => alice.unread("room") === 5);
});
afterEach(() => scene.end());

const marks = () => scene.gateway.received("mark_read").map((frame) => "seq" in frame && frame.seq);
const conversation = (client = alice): Conversation | undefined =>
  client.chat.getSnapshot().conversations.items.find(({ id }) => id === "room");
const storedMark = () => scene.gateway.rooms.get("room")?.members[0]?.lastReadSeq;
const opened = async (client = alice) => {
  client.chat.open("room");
  await eventually(() => client.room("room")?.status === "joined");
};

describe("one's own reading", () => {
  test("is told, and moves the count of one's other devices at once", async () => {
    const phone = scene.join();
    await eventually(() => phone.unread("room") === 5);
    alice.chat.markRead("room", 3);
    await eventually(() => phone.unread("room") === 2);
    phone.chat.markRead("room");
    await eventually(() => alice.unread("room") === 0);
    expect(storedMark()).toBe(5);
    expect(marks()).toEqual([3, 5]);
  });

  test("is told at once, and then as the last of many", async () => {
    for (const seq of [1, 2, 3, 4]) alice.chat.markRead("room", seq);
    expect(alice.unread("room")).toBe(1);
    await eventually(() => marks().length === 2);
    expect(marks()).toEqual([1, 4]);
    await eventually(() => storedMark() === 4);
  });

  test("is not told again where nothing is new, and never falls", async () => {
    alice.chat.markRead("room", 4);
    alice.chat.markRead("room", 4);
    alice.chat.markRead("room", 2);
    expect(alice.unread("room")).toBe(1);
    await eventually(() => storedMark() === 4);
    const bystander = await scene.gateway.peer();
    bystander.say({ type: "read_receipt", conversationId: "room", userId: "alice", seq: 1 });
    await opened(); // what was said before has come
    expect(alice.unread("room")).toBe(1);
    expect(marks()).toEqual([4]);
  });

  test("without a connection is told after the next one, whatever the list of conversations does", async () => {
    scene.gateway.refuseRest(() => ({ status: 503 }));
    alice.chat.disconnect();
    alice.chat.markRead("room", 2);
    alice.chat.markRead("room");
    expect(alice.unread("room")).toBe(0);
    alice.chat.connect();
    await eventually(() => storedMark() === 5);
    expect(marks()).toEqual([5]);
  });

  test("that was not answered is told again", async () => {
    scene.gateway.on("mark_read", (_, peer) => {
      scene.gateway.on("mark_read", null);
      peer.cut();
    });
    alice.chat.markRead("room", 4);
    await eventually(() => storedMark() === 4);
  });

  test("that was refused for now is told later", async () => {
    scene.gateway.on("mark_read", (frame, peer) => {
      scene.gateway.on("mark_read", null);
      const { requestId = "" } = frame;
      peer.say({ type: "error", code: "RATE_LIMITED", error: "slowly", retryAfterMs: 10, requestId });
    });
    alice.chat.markRead("room", 4);
    await eventually(() => storedMark() === 4);
  });

  test("that waits for its turn is told when the page ends", async () => {
    let end = () => {};
    const page: Surroundings = {
      isOnline: () => true,
      watch: () => () => {},
      watchInput: () => null,
      beforeEnd(called) {
        end = called;
        return () => {};
      },
    };
    const phone = scene.join({}, { surroundings: page });
    await eventually(() => phone.unread("room") === 5);
    phone.chat.markRead("room", 1);
    phone.chat.markRead("room", 3);
    end();
    await eventually(() => storedMark() === 3);
  });

  test("of which the gateway has not heard, as before a reload, is told when that shows", async () => {
    scene.gateway.on("mark_read", () => {}); // lost, and the page with what it knew of that
    alice.chat.markRead("room", 4);
    await eventually(() => marks().length === 1);
    scene.gateway.on("mark_read", null);
    await alice.chat.loadConversation("room");
    expect(alice.unread("room")).toBe(1);
    (await scene.gateway.peer()).cut();
    await eventually(() => storedMark() === 4);
  });

  test("elsewhere may be known before the messages are", async () => {
    const peer = await scene.gateway.peer();
    scene.gateway.write("room", "bob", "six");
    peer.say({ type: "read_receipt", conversationId: "room", userId: "alice", seq: 6 });
    peer.say({
      type: "notification",
      kind: "message",
      conversationId: "room",
      conversationName: "room",
      messageId: "room-6",
      seq: 6,
      unreadCount: 1, // counted before
    });
    await eventually(() => conversation()?.lastSeq === 6);
    expect(alice.unread("room")).toBe(0);
  });
});

test.each([1, 2, 3, 4, 5, 6])("counts are those of the gateway after any mix (%i)", async (seed) => {
  const { gateway } = scene;
  const devices = [alice, scene.join()];
  await eventually(() => devices.every((device) => device.unread("room") === 5));
  const random = randomFrom(seed);
  const pick = <Item>(items: Item[]) => items[Math.floor(random() * items.length)] as Item;
  const ends = new Map<Client, () => void>();
  let furthest = 0;
  const steps: ((device: Client) => void)[] = [
    () => notify(gateway, gateway.speak("room", "bob", "more").seq),
    () => gateway.write("room", "bob", "of which nobody is told"),
    (device) => {
      const seq = Math.ceil(random() * (conversation(device)?.lastSeq ?? 0));
      furthest = Math.max(furthest, seq);
      device.chat.markRead("room", seq);
    },
    (device) => {
      if (!ends.has(device)) ends.set(device, device.chat.open("room"));
    },
    (device) => {
      ends.get(device)?.();
      ends.delete(device);
    },
    () => pick(gateway.peers).cut(),
    (device) => device.chat.disconnect(),
    (device) => device.chat.connect(),
  ];
  for (let step = 0; step < 60; step++) {
    pick(steps)(pick(devices));
    if (random() < 0.3) await new Promise((others) => setTimeout(others));
  }
  for (const device of devices) {
    device.chat.disconnect(); // of what nobody was told, one hears by coming back
    device.chat.connect();
  }
  const head = gateway.rooms.get("room")?.messages.length ?? 0;
  await eventually(() => storedMark() === furthest, `read up to ${furthest}`);
  await eventually(() => devices.every((device) => device.unread("room") === head - furthest));
});

/** A sequence of numbers from 0 to 1 that is the same every time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** As the notifier does: the reader's connections that have not joined. */
function notify(gateway: TestGateway, seq: number): void {
  for (const peer of gateway.peers)
    if (peer.isOpen && peer.userId === "alice" && !peer.joined.has("room"))
      peer.say({
        type: "notification",
        kind: "message",
        conversationId: "room",
        conversationName: "room",
        seq,
        unreadCount: seq - (storedMark() ?? 0),
      });
}

describe("others' reading", () => {
  test("is known from the start, from receipts, and from what they write", async () => {
    await opened();
    const carol = scene.join({ getToken: () => "carol" });
    await eventually(() => carol.unread("room") === 5);
    expect(conversation()?.readers).toEqual({ bob: 5, carol: 0 });
    carol.chat.markRead("room", 4);
    await eventually(() => conversation()?.readers.carol === 4);
    scene.gateway.speak("room", "bob", "six");
    await eventually(() => conversation()?.readers.bob === 6);
    expect(conversation()?.readers).toEqual({ bob: 6, carol: 4 });
  });

  test("while one was not there is known when one comes back", async () => {
    const carol = scene.gateway.rooms.get("room")?.members[2];
    if (carol) carol.lastReadSeq = 5; // nobody was told
    expect(conversation()?.readers.carol).toBe(0);
    await opened();
    await eventually(() => conversation()?.readers.carol === 5);
  });

  test("is forgotten with their membership", async () => {
    await opened();
    const peer = await scene.gateway.peer();
    peer.say({
      type: "conversation_updated",
      conversationId: "room",
      updateType: "member_removed",
      userIds: ["bob"],
    });
    await eventually(() => conversation()?.readers.bob === undefined);
  });

  test("of one message is asked for", async () => {
    const bob = scene.join({ getToken: () => "bob" });
    await eventually(() => bob.unread("room") === 5);
    fill(scene.gateway, "room", 1, "alice");
    await bob.chat.loadConversation("room");
    bob.chat.markRead("room");
    await eventually(() => scene.gateway.rooms.get("room")?.members[1]?.lastReadSeq === 6);
    const found = await alice.chat.loadReaders("room", "room-6");
    expect(found).toEqual([{ userId: "bob", userName: "Bob", avatar: null }]);
  });
});
