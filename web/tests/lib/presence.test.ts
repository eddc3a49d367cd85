import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Surroundings } from "../../src/lib/surroundings.ts";
import { type Client, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob", "carol"]);
  scene.gateway.statuses.set("bob", "online").set("carol", "busy");
  alice = scene.join();
  await eventually(() => alice.unread("room") !== undefined);
});
afterEach(() => scene.end());

const presence = (client = alice) => client.chat.getSnapshot().presence;
const mine = (client = alice) => client.chat.getSnapshot().myPresence;
const named = () =>
  scene.gateway.received("watch_presence").map((frame) => ("userIds" in frame ? frame.userIds : null));
const said = () => scene.gateway.received("set_presence").map((frame) => "status" in frame && frame.status);

describe("others", () => {
  test("are named together, once, and then followed", async () => {
    alice.chat.watchPresence(["bob"]);
    alice.chat.watchPresence(["carol", "bob"]);
    await eventually(() => presence().bob?.status === "online" && presence().carol?.status === "busy");
    expect(named()).toEqual([["carol", "bob"]]);
    const peer = await scene.gateway.peer();
    const lastSeenAt = "2026-01-01T00:00:00.000Z";
    peer.say({ type: "presence", userId: "bob", status: "offline", lastSeenAt });
    await eventually(() => presence().bob?.status === "offline");
    expect(presence()).toEqual({
      bob: { status: "offline", lastSeenAt },
      carol: { status: "busy", lastSeenAt: null },
    });
  });

  test("are forgotten when the last one who named them looks away", async () => {
    const endOne = alice.chat.watchPresence(["bob", "carol"]);
    const endOther = alice.chat.watchPresence(["bob"]);
    await eventually(() => presence().bob);
    endOne();
    endOne(); // a second call is none
    await eventually(() => named().length === 2);
    expect(named()[1]).toEqual(["bob"]);
    expect(Object.keys(presence())).toEqual(["bob"]);
    endOther();
    await eventually(() => named().length === 3);
    expect(named()[2]).toEqual([]);
    expect(presence()).toEqual({});
  });

  test("are not known without a connection, and named again with the next one", async () => {
    alice.chat.watchPresence(["bob"]);
    await eventually(() => presence().bob);
    scene.gateway.statuses.set("bob", "away");
    (await scene.gateway.peer()).cut();
    await eventually(() => Object.keys(presence()).length === 0);
    await eventually(() => presence().bob?.status === "away");
    expect(named()).toEqual([["bob"], ["bob"]]);
  });

  test("are named again later where that was refused", async () => {
    scene.gateway.on("watch_presence", (frame, peer) => {
      scene.gateway.on("watch_presence", null);
      const { requestId = "" } = frame;
      peer.say({ type: "error", code: "UNAVAILABLE", error: "busy", retryAfterMs: 10, requestId });
    });
    alice.chat.watchPresence(["bob"]);
    await eventually(() => presence().bob?.status === "online");
  });

  test("who could not be seen are named again once a conversation is shared", async () => {
    scene.gateway.on("watch_presence", () => {}); // strangers are left out without a word
    alice.chat.watchPresence(["bob"]);
    await eventually(() => named().length === 1);
    scene.gateway.on("watch_presence", null);
    const peer = await scene.gateway.peer();
    peer.say({
      type: "conversation_updated",
      conversationId: "room",
      updateType: "member_added",
      userIds: ["bob"],
    });
    await eventually(() => presence().bob?.status === "online");
  });

  test("are nobody for a page that names nobody, and those in small conversations are shown all the same", async () => {
    (await scene.gateway.peer()).say({ type: "presence", userId: "bob", status: "online" });
    await eventually(() => presence().bob?.status === "online");
    expect(named()).toEqual([]);
    expect(scene.gateway.calls.some(({ path }) => path === "/presence")).toBe(false);
  });
});

describe("oneself", () => {
  test("what was chosen is known at once, stored, and known on one's other devices", async () => {
    const phone = scene.join();
    await phone.becomes("connected");
    await eventually(() => scene.gateway.peers.length === 2);
    alice.chat.setPresence("busy");
    expect(mine()).toBe("busy");
    await eventually(() => mine(phone) === "busy");
    phone.chat.setPresence("invisible");
    await eventually(() => mine() === "invisible");
    phone.chat.setPresence("online");
    await eventually(() => mine() === "online");
    expect(said()).toEqual(["busy", "invisible", "online"]);
  });

  test("what was chosen before is found by whoever shows people", async () => {
    scene.gateway.chosen.set("alice", "invisible");
    expect(mine()).toBeNull();
    alice.chat.watchPresence(["bob"]);
    await eventually(() => mine() === "invisible");
  });

  test("what was chosen before is asked for again where that was refused", async () => {
    scene.gateway.chosen.set("alice", "busy");
    let refusals = 0;
    scene.gateway.refuseRest(({ path }) =>
      path === "/presence" && refusals++ === 0
        ? { status: 429, code: "RATE_LIMITED", headers: { "retry-after": "0" } }
        : null,
    );
    alice.chat.watchPresence(["bob"]);
    await eventually(() => mine() === "busy");
    expect(refusals).toBe(2);
  });

  test("being away by choice ends being busy, is about this device, and is said again after a reconnection", async () => {
    alice.chat.setPresence("busy");
    await eventually(() => scene.gateway.chosen.get("alice") === "busy");
    alice.chat.setPresence("away");
    await eventually(() => said().length === 3);
    expect(said()).toEqual(["busy", "online", "away"]);
    expect(mine()).toBe("away");
    (await scene.gateway.peer()).cut();
    await eventually(() => said().length === 4);
    expect(said()[3]).toBe("away");
    alice.chat.setPresence("online");
    await eventually(() => said().length === 5);
    expect(said()[4]).toBe("online");
    expect(mine()).toBe("online");
  });

  test("what is chosen without a connection is told with the next one", async () => {
    alice.chat.disconnect();
    alice.chat.setPresence("busy");
    expect(mine()).toBe("busy");
    alice.chat.connect();
    await eventually(() => scene.gateway.chosen.get("alice") === "busy");
    expect(mine()).toBe("busy");
  });

  test("what is refused for good is taken back, what is refused for now is tried again", async () => {
    alice.chat.watchPresence(["bob"]);
    await eventually(() => mine() === "online");
    let code: "INTERNAL" | "RATE_LIMITED" = "INTERNAL";
    scene.gateway.on("set_presence", ({ requestId = "" }, peer) => {
      if (code === "RATE_LIMITED") scene.gateway.on("set_presence", null);
      peer.say({ type: "error", code, error: "no", retryAfterMs: 10, requestId });
    });
    alice.chat.setPresence("busy");
    await eventually(() => mine() === "online");
    code = "RATE_LIMITED";
    alice.chat.setPresence("busy");
    await eventually(() => scene.gateway.chosen.get("alice") === "busy");
    expect(mine()).toBe("busy");
  });
});

describe("a device that nobody touches", () => {
  const page = () => {
    let stir = () => {};
    const surroundings: Surroundings = {
      isOnline: () => true,
      watch: () => () => {},
      beforeEnd: () => () => {},
      watchInput(stirred) {
        stir = stirred;
        return () => {};
      },
    };
    return { surroundings, stir: () => stir() };
  };

  test("is away, until somebody touches it", async () => {
    const { surroundings, stir } = page();
    const phone = scene.join({ awayAfter: 30 }, { surroundings });
    await eventually(() => said()[0] === "away");
    await eventually(() => mine(phone) === "online"); // nothing was chosen
    stir();
    await eventually(() => said()[1] === "online");
  });

  test("does not end being busy, and says nothing of what is not seen", async () => {
    scene.gateway.chosen.set("alice", "busy");
    const { surroundings, stir } = page();
    const phone = scene.join({ awayAfter: 30 }, { surroundings });
    const touching = setInterval(stir, 5); // until it knows that its person is busy, however long that takes
    phone.chat.watchPresence(["bob"]);
    await eventually(() => mine(phone) === "busy");
    await eventually(() => presence(phone).bob);
    clearInterval(touching);
    alice.chat.setPresence("online");
    await eventually(() => said().includes("away")); // now it is seen
    expect(said().indexOf("online")).toBeLessThan(said().lastIndexOf("away"));
    expect(scene.gateway.chosen.get("alice")).toBe("online");
  });

  test("is never away where that is not wanted", async () => {
    const { surroundings } = page();
    let isWatched = false;
    const watchInput = () => {
      isWatched = true;
      return null;
    };
    scene.join({ awayAfter: 0 }, { surroundings: { ...surroundings, watchInput } });
    await eventually(() => scene.gateway.peers.length === 2);
    expect(isWatched).toBe(false);
  });
});
