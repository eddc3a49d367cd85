import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConversationUpdated } from "../../src/lib/frames.ts";
import { may, RIGHTS } from "../../src/lib/rights.ts";
import { type Client, fill, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import { type Call, memberOf, type Peer } from "./support/gateway.ts";

let scene: Scene;
let alice: Client;
let peer: Peer;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"], "channel");
  fill(scene.gateway, "room", 3);
  alice = scene.join();
  await eventually(() => alice.chat.getSnapshot().conversations.isLoaded);
  peer = await scene.gateway.peer(1);
});
afterEach(() => scene.end());

const conversation = (id = "room") =>
  alice.chat.getSnapshot().conversations.items.find((item) => item.id === id);
const asked = () => scene.gateway.calls.length;
const room = () => {
  const found = scene.gateway.rooms.get("room");
  if (!found) throw new Error("no room");
  return found;
};

function update(updateType: ConversationUpdated["updateType"], more: object = {}): void {
  peer.say({ type: "conversation_updated", conversationId: "room", updateType, ...more });
}

test("the rights are those that the protocol prints", () => {
  const protocol = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
  const table = protocol.slice(protocol.indexOf("| to | direct |")).split("\n\n")[0] ?? "";
  const rows = table.split("\n").slice(2);
  const cells = rows.map((row) =>
    row
      .split("|")
      .slice(2, 6)
      .map((cell) => cell.trim()),
  );
  const own = Object.values(RIGHTS).map((row) => [
    row.direct,
    row.group,
    row.channel,
    row.closed ? "yes" : "no",
  ]);
  // Who joins by themselves is no member yet.
  expect(cells.map((row) => row.map((cell) => cell.replace(/^everybody.*/, "members")))).toEqual(own);
});

test("what one may do depends on the kind, on one's role, and on being closed", () => {
  const open = { type: "group", role: "member", closedAt: null } as const;
  expect(may("pin", open)).toBe(false);
  expect(may("pin", { ...open, type: "direct" })).toBe(true);
  expect(may("pin", { ...open, role: "admin" })).toBe(true);
  expect(may("send", { ...open, closedAt: "2026-01-01T00:00:00Z" })).toBe(false);
  expect(may("leave", { ...open, closedAt: "2026-01-01T00:00:00Z" })).toBe(true);
});

describe("what is told", () => {
  test("shows at once, and nothing needs to be asked for", async () => {
    await alice.chat.loadMembers("room");
    const before = asked();
    update("role_changed", { userIds: ["alice"], members: [{ ...memberOf("alice"), role: "admin" }] });
    await eventually(() => conversation()?.role === "admin");
    expect(conversation()?.members[0]).toMatchObject({ userId: "alice", role: "admin" });
    expect(alice.room("room")?.members.items[0]?.role).toBe("admin");
    update("visibility_changed", { public: true });
    update("closed");
    update("settings_changed", { muted: true, archived: true });
    await eventually(() => conversation()?.isArchived);
    expect(conversation()).toMatchObject({ isPublic: true, isMuted: true });
    expect(conversation()?.closedAt).toEqual(expect.any(String));
    update("reopened");
    await eventually(() => conversation()?.closedAt === null);
    expect(asked()).toBe(before);
  });

  test("who becomes admin because the last one left, is one", async () => {
    update("member_removed", { userIds: ["bob"], members: [{ ...memberOf("alice"), role: "admin" }] });
    await eventually(() => conversation()?.role === "admin");
    expect(conversation()?.members).toHaveLength(1);
  });
});

test("admins give roles, make public, and close", async () => {
  await alice.chat.loadMembers("room");
  await alice.chat.setRole("room", "bob", "admin");
  expect(alice.room("room")?.members.items[1]).toMatchObject({ userId: "bob", role: "admin" });
  await alice.chat.setPublic("room", true);
  expect((await alice.chat.findChannels("r")).items.map(({ id }) => id)).toEqual(["room"]);
  scene.gateway.refuseRest(() => ({ status: 403, code: "FORBIDDEN" }));
  const refused = alice.chat.setPublic("room", false);
  expect(conversation()?.isPublic).toBe(false);
  await expect(refused).rejects.toMatchObject({ code: "FORBIDDEN" });
  expect(conversation()?.isPublic).toBe(true);
  scene.gateway.refuseRest(null);
  await alice.chat.setClosed("room", true);
  expect(conversation()).toMatchObject({ isPublic: true, closedAt: expect.any(String) });
  await alice.chat.setClosed("room", false);
  expect(conversation()?.closedAt).toBeNull();
});

describe("one's own settings", () => {
  test("show at once, and go back when they are refused", async () => {
    const release = scene.gateway.holdRest();
    const muting = alice.chat.changeSettings("room", { isMuted: true });
    expect(conversation()?.isMuted).toBe(true);
    release();
    await muting;
    expect(conversation()?.isMuted).toBe(true);
    scene.gateway.refuseRest(() => ({ status: 503, code: "UNAVAILABLE" }));
    const archiving = alice.chat.changeSettings("room", { isArchived: true });
    expect(conversation()).toMatchObject({ isMuted: true, isArchived: true });
    await expect(archiving).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(conversation()).toMatchObject({ isMuted: true, isArchived: false });
  });

  test("a message brings an archived conversation back, unless it is muted", async () => {
    await alice.chat.changeSettings("room", { isArchived: true });
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    expect(conversation()?.isArchived).toBe(true);
    scene.gateway.speak("room", "bob", "still there?");
    await eventually(() => conversation()?.isArchived === false);
    await alice.chat.changeSettings("room", { isArchived: true, isMuted: true });
    scene.gateway.speak("room", "bob", "hello?");
    await alice.shows("room", ["m1", "m2", "m3", "still there?", "hello?"]);
    expect(conversation()?.isArchived).toBe(true);
  });

  test("what came out of the archive elsewhere is found out", async () => {
    await alice.chat.changeSettings("room", { isArchived: true });
    room().decided.archived = false;
    await alice.chat.loadArchived();
    await eventually(() => conversation()?.isArchived === false);
    expect(alice.chat.getSnapshot().conversations.hasMoreArchived).toBe(false);
    peer.cut();
    await eventually(() => alice.chat.getSnapshot().conversations.hasMoreArchived);
  });

  test("what is archived comes when it is asked for", async () => {
    Object.assign(room().decided, { archived: true, archivedSeq: 3 });
    const other = scene.join();
    const list = () => other.chat.getSnapshot().conversations;
    await eventually(() => list().isLoaded);
    expect(list()).toMatchObject({ items: [], hasMoreArchived: true });
    await other.chat.loadArchived();
    expect(list()).toMatchObject({ items: [{ id: "room", isArchived: true }], hasMoreArchived: false });
  });
});

describe("pins", () => {
  const pinned = () => alice.room("room")?.pins.items.map(({ message }) => message.content);
  const message = (at: number) => {
    const found = room().messages[at];
    if (!found) throw new Error("no such message");
    return found;
  };

  test("are put and taken at once, newest first", async () => {
    await alice.chat.loadPins("room");
    const release = scene.gateway.holdRest();
    const [first, second] = [alice.chat.pin("room", message(0)), alice.chat.pin("room", message(1))];
    expect(pinned()).toEqual(["m2", "m1"]);
    release();
    await Promise.all([first, second]);
    expect(pinned()).toEqual(["m2", "m1"]);
    await alice.chat.unpin("room", message(1).id);
    expect(pinned()).toEqual(["m1"]);
  });

  test("go again when they are refused", async () => {
    await alice.chat.loadPins("room");
    scene.gateway.refuseRest(({ method }) => (method === "PUT" ? { status: 403, code: "FORBIDDEN" } : null));
    await expect(alice.chat.pin("room", message(0))).rejects.toMatchObject({ code: "FORBIDDEN" });
    expect(pinned()).toEqual([]);
  });

  test("that could not be asked for are asked for again, in a while and with the next connection", async () => {
    room().decided.pins.push({ message: message(0), pinnedBy: "bob", pinnedAt: "2026-01-01" });
    let refusals = 2;
    const refuse = (after: string) => (call: Call) =>
      call.path === "/conversations/room/pins" && refusals-- > 0
        ? { status: 503, code: "UNAVAILABLE", headers: { "retry-after": after } }
        : null;
    scene.gateway.refuseRest(refuse("0"));
    await expect(alice.chat.loadPins("room")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await eventually(() => pinned()?.[0] === "m1");

    const other = scene.join();
    await eventually(() => other.chat.getSnapshot().conversations.isLoaded);
    refusals = 1;
    scene.gateway.refuseRest(refuse("1000"));
    await expect(other.chat.loadPins("room")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    (await scene.gateway.peer(2)).cut();
    await eventually(() => other.room("room")?.pins.isLoaded);
  });

  test("of others are told of, also after a reconnection, and change as messages do", async () => {
    await alice.chat.loadPins("room");
    const pin = (at: number) =>
      room().decided.pins.unshift({ message: message(at), pinnedBy: "bob", pinnedAt: "2026-01-01" });
    pin(0);
    update("pinned", { messageId: message(0).id });
    await eventually(() => pinned()?.length === 1);
    const changed = { ...message(0), content: "changed", changeSeq: 1 };
    peer.say({ type: "message_updated", message: changed, change: "edited" });
    await eventually(() => pinned()?.[0] === "changed");
    peer.say({
      type: "message_updated",
      message: { ...changed, content: "", isDeleted: true, changeSeq: 2 },
      change: "deleted",
    });
    await eventually(() => pinned()?.length === 0);
    pin(1);
    peer.cut();
    await eventually(() => pinned()?.includes("m2"));
  });

  test("count the replies that come, and are newer than an answer that was on its way", async () => {
    room().decided.pins.push({ message: message(0), pinnedBy: "bob", pinnedAt: "2026-01-01" });
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadPins("room");
    await eventually(() => scene.gateway.calls.some(({ path }) => path === "/conversations/room/pins"));
    const changed = { ...message(0), content: "changed", changeSeq: 1 };
    peer.say({ type: "message_updated", message: changed, change: "edited" });
    alice.chat.send("room", "a reply", { replyTo: message(0).id });
    await eventually(() => alice.contents("room").at(-1) === "a reply");
    await alice.settled("room");
    release();
    await loading;
    const pin = () => alice.room("room")?.pins.items[0]?.message;
    expect(pin()).toMatchObject({ content: "changed", replies: { count: 1 } });
    alice.chat.send("room", "another", { replyTo: message(0).id });
    await eventually(() => pin()?.replies?.count === 2);
    await alice.chat.loadPins("room"); // an answer that does not count them yet
    expect(pin()?.replies?.count).toBe(2);
  });
});
