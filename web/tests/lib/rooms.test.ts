import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
});
afterEach(() => scene.end());

const joinsOf = () => scene.gateway.received("join_conversation");

describe("opening", () => {
  test("the newest messages come at once, then live ones", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 80);
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    expect(alice.seqs("room")).toEqual(range(31, 80));
    expect(alice.room("room")).toMatchObject({ isLoaded: true, hasOlder: true });
    gateway.speak("room", "bob", "live");
    await eventually(() => alice.contents("room").at(-1) === "live");
    const told = alice.events.filter(({ type }) => type === "message");
    expect(told).toHaveLength(51);
    expect(told.map((event) => event.type === "message" && event.isReplay)).toEqual([
      ...Array(50).fill(true),
      false,
    ]);
  });

  test("a replay is shown as one, not message by message", async () => {
    fill(scene.gateway, "room", 50);
    const alice = scene.join();
    const lengths = new Set<number>();
    alice.chat.subscribe(() => lengths.add(alice.contents("room").length));
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 50);
    expect([...lengths].sort()).toEqual([0, 50]);
  });

  test("an empty conversation is loaded too", async () => {
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.isLoaded);
    expect(alice.room("room")).toMatchObject({ messages: [], hasOlder: false });
  });

  test("it is joined once for all who have it open, and left with the last", async () => {
    const alice = scene.join();
    const [close, closeToo] = [alice.chat.open("room"), alice.chat.open("room")];
    await eventually(() => alice.room("room")?.status === "joined");
    close();
    close(); // a second call is none
    scene.gateway.speak("room", "bob", "still here");
    await alice.shows("room", ["still here"]);
    closeToo();
    await eventually(() => scene.gateway.received("leave_conversation").length === 1);
    await eventually(() => alice.room("room")?.status === "closed");
    expect(joinsOf()).toHaveLength(1);
  });

  test("closed and opened again at once, nothing is said to the gateway", async () => {
    const alice = scene.join();
    const close = alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    close();
    alice.chat.open("room");
    scene.gateway.speak("room", "bob", "hello");
    await alice.shows("room", ["hello"]);
    expect(joinsOf()).toHaveLength(1);
    expect(scene.gateway.received("leave_conversation")).toEqual([]);
  });

  test("opened again later, only what is new is asked for", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 3);
    const alice = scene.join();
    const close = alice.chat.open("room");
    await alice.shows("room", ["m1", "m2", "m3"]);
    close();
    await eventually(() => alice.room("room")?.status === "closed");
    gateway.speak("room", "bob", "meanwhile");
    alice.chat.open("room");
    await alice.shows("room", ["m1", "m2", "m3", "meanwhile"]);
    expect(joinsOf().at(-1)).toMatchObject({ afterSeq: 3 });
  });

  test("one that is somebody else's is gone, not awaited", async () => {
    scene.gateway.addRoom("secret", ["bob"]);
    const alice = scene.join();
    alice.chat.open("secret");
    await eventually(() => alice.room("secret")?.gone === "not_found");
    expect(alice.room("secret")?.status).toBe("gone");
  });

  test("a join that is refused for now is repeated", async () => {
    let refusals = 0;
    scene.gateway.on("join_conversation", (frame, peer) => {
      if (refusals++ > 1) return scene.gateway.answer(frame, peer);
      peer.say({
        type: "error",
        code: "RATE_LIMITED",
        error: "too many",
        retryAfterMs: 10,
        ...(frame.requestId && { requestId: frame.requestId }),
      });
    });
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    expect(refusals).toBe(3);
  });
});

describe("resuming", () => {
  test("after a cut, every open conversation goes on where it was: nothing lost, nothing twice", async () => {
    const { gateway } = scene;
    gateway.addRoom("other", ["alice", "bob"]);
    fill(gateway, "room", 5);
    const alice = scene.join();
    alice.chat.open("room");
    alice.chat.open("other");
    await eventually(() => alice.contents("room").length === 5 && alice.room("other")?.status === "joined");
    (await gateway.peer(1)).cut();
    fill(gateway, "room", 3);
    fill(gateway, "other", 2);
    await eventually(() => alice.contents("room").length === 8 && alice.contents("other").length === 2);
    expect(alice.seqs("room")).toEqual(range(1, 8));
    const joins = scene.gateway.received("join_conversation", await gateway.peer(2));
    expect(
      joins.map((frame) => frame.type === "join_conversation" && [frame.conversationId, frame.afterSeq]),
    ).toEqual(
      expect.arrayContaining([
        ["room", 5],
        ["other", 0],
      ]),
    );
    const told = alice.events.flatMap((event) => (event.type === "message" ? [event.message] : []));
    const inRoom = told.filter(({ conversationId }) => conversationId === "room").map(({ seq }) => seq);
    expect(inRoom).toEqual(range(1, 8));
  });

  test("a replay that a cut interrupts is asked for again", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 10);
    gateway.on("join_conversation", (frame, peer) => {
      if (gateway.peers.length > 1) return gateway.answer(frame, peer);
      const say = peer.say;
      let count = 0;
      peer.say = (said) => (said.type === "new_message" && ++count > 4 ? peer.cut() : say(said));
      gateway.answer(frame, peer);
    });
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    expect(alice.seqs("room")).toEqual(range(1, 10));
    expect(gateway.peers.length).toBeGreaterThan(1);
  });

  test("what is more than the gateway replays is fetched over REST, in order", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 10);
    gateway.resumeLimit = 20;
    const alice = scene.join({ pageSize: 10 });
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 10);
    (await gateway.peer(1)).cut();
    fill(gateway, "room", 500);
    await eventually(() => alice.contents("room").length === 510);
    expect(alice.seqs("room")).toEqual(range(1, 510));
    const told = alice.events.flatMap((event) => (event.type === "message" ? [event.message.seq] : []));
    expect(told).toEqual(range(1, 510));
  });

  test("what is far too much is left to be scrolled through", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 10);
    const alice = scene.join({ pageSize: 10 });
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 10);
    (await gateway.peer(1)).cut();
    fill(gateway, "room", 3000);
    await eventually(() => alice.seqs("room").at(-1) === 3010);
    expect(alice.seqs("room")).toEqual(range(3001, 3010));
    expect(alice.room("room")?.hasOlder).toBe(true);
    await alice.chat.loadOlder("room");
    expect(alice.seqs("room")).toEqual(range(2991, 3010));
  });

  test("where a backup was restored, what has a seen number is not taken for what was seen", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 3);
    const alice = scene.join();
    alice.chat.open("room");
    await alice.shows("room", ["m1", "m2", "m3"]);
    gateway.restore("restored", "room", 1);
    for (const content of ["two", "three", "four"]) gateway.write("room", "bob", content);
    await alice.shows("room", ["m1", "two", "three", "four"]);
    await eventually(() => alice.unread("room") === 4);
    // Only once: the next connection resumes.
    scene.gateway.restore("restored", "room", 4);
    await eventually(() => joinsOf().length === 3);
    expect(joinsOf().map((frame) => "afterSeq" in frame && frame.afterSeq)).toEqual([false, false, 4]);
  });

  test("a gateway whose history is another one is read from the start", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 5);
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 5);
    gateway.addRoom("room", ["alice", "bob"]);
    gateway.write("room", "bob", "anew");
    (await gateway.peer(1)).cut();
    await alice.shows("room", ["anew"]);
  });
});

describe("holes", () => {
  test("a message that does not come is fetched; nothing is shown before it", async () => {
    const { gateway } = scene;
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const orders = new Set<string>();
    alice.chat.subscribe(() => orders.add(alice.contents("room").join()));
    gateway.write("room", "bob", "lost");
    gateway.speak("room", "bob", "next");
    await alice.shows("room", ["lost", "next"]);
    expect(orders.has("next")).toBe(false);
    expect(
      gateway.calls.some(({ path, query }) => path.endsWith("/messages") && query.get("afterSeq") === "0"),
    ).toBe(true);
  });

  test("a fetch that fails is repeated", async () => {
    const { gateway } = scene;
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    let failures = 0;
    gateway.refuseRest(({ path }) => (path.endsWith("/messages") && failures++ < 2 ? { status: 503 } : null));
    gateway.write("room", "bob", "lost");
    gateway.speak("room", "bob", "next");
    await alice.shows("room", ["lost", "next"]);
    expect(failures).toBe(3);
  });

  test("the last message of all, lost, is found by a ping", async () => {
    const { gateway } = scene;
    const alice = scene.join({}, { timing: { pingInterval: 40 } });
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    gateway.write("room", "bob", "lost");
    await alice.shows("room", ["lost"]);
  });

  test("resync is obeyed, over as many pages as it takes", async () => {
    const { gateway } = scene;
    fill(gateway, "room", 3);
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 3);
    fill(gateway, "room", 450);
    (await gateway.peer(1)).say({ type: "resync", conversationId: "room", fromSeq: 4 });
    await eventually(() => alice.contents("room").length === 453);
    gateway.speak("room", "bob", "live");
    await eventually(() => alice.contents("room").at(-1) === "live");
    expect(alice.seqs("room")).toEqual(range(1, 454));
  });

  test("one that the gateway does not have itself is not waited for", async () => {
    const { gateway } = scene;
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const message = gateway.speak("room", "bob", "first");
    gateway.publish({ ...message, id: "room-3", seq: 3, content: "third" });
    await alice.shows("room", ["third"]); // as a new window: above a hole nothing is shown with what is below
    expect(alice.room("room")?.hasOlder).toBe(true);
  });

  test("a message that comes twice is shown once", async () => {
    const { gateway } = scene;
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const message = gateway.speak("room", "bob", "hello");
    gateway.publish(message);
    gateway.speak("room", "bob", "end");
    await alice.shows("room", ["hello", "end"]);
    expect(alice.events.filter(({ type }) => type === "message")).toHaveLength(2);
  });
});

describe("older messages", () => {
  test("they come page by page, to the first one", async () => {
    fill(scene.gateway, "room", 120);
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 50);
    const loading = alice.chat.loadOlder("room");
    expect(alice.room("room")?.isLoadingOlder).toBe(true);
    expect(alice.chat.loadOlder("room")).toBe(loading); // one at a time
    await loading;
    expect(alice.room("room")).toMatchObject({ isLoadingOlder: false, hasOlder: true });
    await alice.chat.loadOlder("room");
    expect(alice.seqs("room")).toEqual(range(1, 120));
    expect(alice.room("room")?.hasOlder).toBe(false);
    const count = scene.gateway.calls.length;
    await alice.chat.loadOlder("room");
    expect(scene.gateway.calls).toHaveLength(count);
  });

  test("a failure is told, and can be repeated", async () => {
    fill(scene.gateway, "room", 60);
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 50);
    scene.gateway.refuseRest(() => ({ status: 503, code: "UNAVAILABLE", headers: { "retry-after": "2" } }));
    await expect(alice.chat.loadOlder("room")).rejects.toMatchObject({
      name: "ChatError",
      code: "UNAVAILABLE",
      retryable: true,
      retryAfterMs: 2000,
    });
    expect(alice.room("room")).toMatchObject({ isLoadingOlder: false, hasOlder: true });
    scene.gateway.refuseRest(null);
    await alice.chat.loadOlder("room");
    expect(alice.seqs("room")).toEqual(range(1, 60));
  });
});

describe("typing", () => {
  test("others who type are shown until they stop, or speak", async () => {
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const peer = await scene.gateway.peer(1);
    const bob = { conversationId: "room", userId: "bob", userName: "Bob" };
    peer.say({ type: "user_typing", ...bob });
    await eventually(() => alice.room("room")?.typing.length === 1);
    expect(alice.room("room")?.typing).toEqual([{ userId: "bob", userName: "Bob" }]);
    peer.say({ type: "user_stopped_typing", conversationId: "room", userId: "bob" });
    await eventually(() => alice.room("room")?.typing.length === 0);
    peer.say({ type: "user_typing", ...bob });
    await eventually(() => alice.room("room")?.typing.length === 1);
    scene.gateway.speak("room", "bob", "said");
    await eventually(() => alice.room("room")?.typing.length === 0);
    const types = alice.events.map(({ type }) => type);
    expect(types).toEqual(["typing", "stopped_typing", "typing", "stopped_typing", "message"]);
  });

  test("a connection that ends ends the typing that it told of", async () => {
    const alice = scene.join();
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const peer = await scene.gateway.peer(1);
    peer.say({ type: "user_typing", conversationId: "room", userId: "bob", userName: "Bob" });
    await eventually(() => alice.room("room")?.typing.length === 1);
    peer.cut();
    await eventually(() => alice.room("room")?.typing.length === 0);
  });

  test("one's own is told once for many keystrokes, and ends with the message", async () => {
    const alice = scene.join();
    alice.chat.startTyping("room"); // not joined: it would be refused
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    for (let key = 0; key < 20; key++) alice.chat.startTyping("room");
    alice.chat.send("room", "hello");
    await alice.shows("room", ["hello"]);
    const types = (await scene.gateway.peer(1)).received.map(({ type }) => type);
    expect(types.filter((type) => /typing|send/.test(type))).toEqual([
      "typing_start",
      "typing_stop",
      "send_message",
    ]);
  });
});
