import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ClientFrame } from "../../src/lib/frames.ts";
import { type Client, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import type { Peer } from "./support/gateway.ts";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
  alice = scene.join();
  alice.chat.open("room");
  await eventually(() => alice.room("room")?.status === "joined");
});
afterEach(() => scene.end());

type Send = ClientFrame & { type: "send_message" };
const sends = (peer?: Peer) =>
  scene.gateway.received("send_message", peer).map((frame) => (frame as Send).content ?? "");

/** Answers the sends itself. */
function onSend(handler: (frame: Send, peer: Peer) => void): void {
  scene.gateway.on("send_message", (frame, peer) => {
    if (frame.type === "send_message") handler(frame, peer);
  });
}

function refuse(
  peer: Peer,
  frame: Send,
  code: "RATE_LIMITED" | "TIMEOUT" | "FORBIDDEN" | "TEMP_ID_CONFLICT",
  retryAfterMs?: number,
) {
  const retryable = code === "RATE_LIMITED" || code === "TIMEOUT";
  peer.say({
    type: "message_error",
    error: code.toLowerCase(),
    code,
    conversationId: frame.conversationId,
    retryable,
    ...(frame.tempId !== undefined && { tempId: frame.tempId }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

describe("a message on its way", () => {
  test("is shown at once, then takes its place among the others under the same key", async () => {
    const tempId = alice.chat.send("room", "  hello \n");
    expect(alice.room("room")?.outgoing).toMatchObject([
      { tempId, content: "hello", status: "sending", failure: null },
    ]);
    await alice.shows("room", ["hello"]);
    expect(alice.room("room")?.outgoing).toEqual([]);
    expect(alice.room("room")?.messages[0]).toMatchObject({ tempId, seq: 1, senderId: "alice" });
  });

  test("is never shown twice, nor not at all, in between", async () => {
    const counts = new Set<number>();
    const stop = alice.chat.subscribe(() => {
      const room = alice.room("room");
      counts.add((room?.messages.length ?? 0) + (room?.outgoing.length ?? 0));
    });
    alice.chat.send("room", "hello");
    await alice.shows("room", ["hello"]);
    await alice.settled("room");
    stop();
    expect([...counts]).toEqual([1]);
  });

  test("that was acknowledged before an earlier one of somebody else came waits for it", async () => {
    const { gateway } = scene;
    onSend((frame, peer) => {
      gateway.write("room", "bob", "before");
      const answers = peer.say;
      peer.say = (said) => said.type === "message_sent" && answers(said); // its new_message is lost
      gateway.store(frame, peer);
      peer.say = answers;
    });
    alice.chat.send("room", "after");
    await eventually(() => alice.room("room")?.outgoing[0]?.status === "sent");
    expect(alice.contents("room")).toEqual([]);
    await alice.shows("room", ["before", "after"]);
    await alice.settled("room");
  });

  test("in a conversation that is not open ends when it is stored", async () => {
    scene.gateway.addRoom("other", ["alice"]);
    await alice.chat.loadConversation("other");
    alice.chat.send("other", "hello");
    expect(alice.room("other")?.outgoing).toHaveLength(1);
    await alice.settled("other");
    const listed = alice.chat.getSnapshot().conversations.items.find(({ id }) => id === "other");
    expect(listed).toMatchObject({ lastSeq: 1, unreadCount: 0, lastMessage: { content: "hello" } });
  });

  test("quotes what it was begun for, also where that is not here any more", () => {
    const reply = { messageId: "m1", seq: 1, senderId: "bob", senderName: "Bob", preview: "where?" };
    alice.chat.setDraft("room", { text: "here", reply });
    alice.chat.send("room", "here", { replyTo: "m1" });
    alice.chat.send("room", "there", { replyTo: "m2" });
    expect(alice.room("room")?.outgoing).toMatchObject([{ reply }, { reply: null }]);
  });

  test("without anything in it is refused at once", () => {
    expect(() => alice.chat.send("room", "  \n ")).toThrow(
      expect.objectContaining({ code: "CONTENT_EMPTY" }),
    );
    expect(alice.room("room")?.outgoing).toEqual([]);
  });

  test("that is too long is kept as failed, by characters and not by halves of them", async () => {
    alice.chat.send("room", "😀".repeat(8000));
    await alice.settled("room");
    alice.chat.send("room", "x".repeat(8001));
    expect(alice.room("room")?.outgoing).toMatchObject([
      { status: "failed", failure: { code: "CONTENT_TOO_LONG" } },
    ]);
    expect(sends()).toHaveLength(1);
  });

  test("with half an emoji in it is made whole, so that it is JSON for everybody", async () => {
    alice.chat.send("room", "half \ud83d");
    await alice.shows("room", ["half \ufffd"]);
  });
});

describe("order", () => {
  test("many messages are stored in the order of sending", async () => {
    const contents = range(1, 30).map(String);
    for (const content of contents) alice.chat.send("room", content);
    await alice.shows("room", contents);
  });

  test("one that has to be repeated is not overtaken", async () => {
    let refusals = 0;
    onSend((frame, peer) => {
      if (frame.content === "1" && refusals++ < 2) refuse(peer, frame, "RATE_LIMITED", 5);
      else scene.gateway.store(frame, peer);
    });
    for (const content of ["1", "2", "3"]) alice.chat.send("room", content);
    await alice.shows("room", ["1", "2", "3"]);
    expect(sends()).toEqual(["1", "1", "1", "2", "3"]);
  });

  test("one that failed for good is, and another conversation waits for nobody", async () => {
    scene.gateway.addRoom("other", ["alice"]);
    onSend((frame, peer) => {
      if (frame.content === "bad") refuse(peer, frame, "FORBIDDEN");
      else if (frame.content !== "never answered") scene.gateway.store(frame, peer);
    });
    alice.chat.send("room", "bad");
    alice.chat.send("room", "good");
    alice.chat.send("other", "never answered");
    await alice.shows("room", ["good"]);
    expect(alice.room("room")?.outgoing).toMatchObject([{ content: "bad", status: "failed" }]);
    expect(alice.events.filter(({ type }) => type === "send_failed")).toHaveLength(1);
  });
});

describe("failures", () => {
  test("a refusal for now is repeated, with the same tempId and after the time that it says", async () => {
    let refusedAt = 0;
    onSend((frame, peer) => {
      if (refusedAt) return void scene.gateway.store(frame, peer);
      refusedAt = Date.now();
      refuse(peer, frame, "RATE_LIMITED", 120);
    });
    alice.chat.send("room", "hello");
    await eventually(() => alice.room("room")?.outgoing[0]?.failure?.code === "RATE_LIMITED");
    expect(alice.room("room")?.outgoing[0]?.status).toBe("sending");
    await alice.shows("room", ["hello"]);
    expect(Date.now() - refusedAt).toBeGreaterThanOrEqual(115);
    const [first, second] = scene.gateway.received("send_message") as Send[];
    expect(first?.tempId).toBe(second?.tempId);
  });

  test("a refusal for good is kept with its reason, until it is tried again or dropped", async () => {
    onSend((frame, peer) => refuse(peer, frame, "TEMP_ID_CONFLICT"));
    const tempId = alice.chat.send("room", "hello");
    await eventually(() => alice.room("room")?.outgoing[0]?.status === "failed");
    expect(alice.room("room")?.outgoing[0]?.failure).toEqual({
      code: "TEMP_ID_CONFLICT",
      message: "temp_id_conflict",
      retryable: false,
    });
    scene.gateway.on("send_message", null);
    alice.chat.retry(tempId);
    await alice.shows("room", ["hello"]);
    expect(alice.room("room")?.messages[0]?.tempId).toBe(tempId);

    onSend((frame, peer) => refuse(peer, frame, "FORBIDDEN"));
    const other = alice.chat.send("room", "no");
    await eventually(() => alice.room("room")?.outgoing[0]?.status === "failed");
    alice.chat.discard(other);
    expect(alice.room("room")?.outgoing).toEqual([]);
  });

  test("an error of the whole frame is the message's too", async () => {
    onSend((frame, peer) =>
      peer.say({
        type: "error",
        code: "INVALID_FRAME",
        error: "malformed",
        ...(frame.requestId && { requestId: frame.requestId }),
      }),
    );
    alice.chat.send("room", "hello");
    await eventually(() => alice.room("room")?.outgoing[0]?.failure?.code === "INVALID_FRAME");
  });
});

describe("without a connection", () => {
  test("what is sent waits, and goes out in order when it is back", async () => {
    alice.chat.disconnect();
    for (const content of ["1", "2", "3"]) alice.chat.send("room", content);
    expect(alice.room("room")?.outgoing.map(({ status }) => status)).toEqual([
      "waiting",
      "waiting",
      "waiting",
    ]);
    alice.chat.connect();
    await alice.shows("room", ["1", "2", "3"]);
    await alice.settled("room");
  });

  test("one whose answer is lost with the connection is stored once", async () => {
    const { gateway } = scene;
    onSend((frame, peer) => {
      const silenced = peer.say;
      peer.say = () => {};
      gateway.store(frame, peer);
      peer.say = silenced;
      gateway.on("send_message", null);
      peer.cut();
    });
    alice.chat.send("room", "once");
    alice.chat.send("room", "then this");
    await alice.shows("room", ["once", "then this"]);
    await alice.settled("room");
    expect(gateway.rooms.get("room")?.messages.map(({ content }) => content)).toEqual(["once", "then this"]);
  });

  test("cut again and again, everything arrives once and in order", async () => {
    const { gateway } = scene;
    let count = 0;
    onSend((frame, peer) => {
      count++;
      if (count % 5 === 0) return peer.cut(); // before it is stored
      gateway.store(frame, peer);
      if (count % 7 === 0) peer.cut(); // after
    });
    const contents = range(1, 40).map(String);
    for (const content of contents) alice.chat.send("room", content);
    await alice.shows("room", contents);
    await alice.settled("room");
    expect(gateway.rooms.get("room")?.messages.map(({ content }) => content)).toEqual(contents);
  });
});

test("two tabs see each other's messages, each once", async () => {
  const tab = scene.join();
  tab.chat.open("room");
  await eventually(() => tab.room("room")?.status === "joined");
  alice.chat.send("room", "from the first");
  await tab.shows("room", ["from the first"]);
  tab.chat.send("room", "from the second");
  await alice.shows("room", ["from the first", "from the second"]);
});
