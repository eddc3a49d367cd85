import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConversationUpdated } from "../../src/lib/frames.ts";
import { type Client, fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import { type Call, memberOf, type Peer } from "./support/gateway.ts";

let scene: Scene;
let alice: Client;
let peer: Peer;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
  alice = scene.join();
  await eventually(() => alice.chat.getSnapshot().conversations.isLoaded);
  peer = await scene.gateway.peer(1);
});
afterEach(() => {
  vi.restoreAllMocks();
  return scene.end();
});

const ids = () => alice.chat.getSnapshot().conversations.items.map(({ id }) => id);
const conversation = (id = "room") =>
  alice.chat.getSnapshot().conversations.items.find((item) => item.id === id);
const later = (ms: number) => new Date(Date.now() + ms).toISOString();

function notify(conversationId: string, seq: number, unreadCount: number, preview = "psst"): void {
  peer.say({
    type: "notification",
    kind: "message",
    conversationId,
    conversationName: conversationId,
    messageId: `${conversationId}-${seq}`,
    seq,
    senderName: "Bob",
    preview,
    unreadCount,
  });
}

function update(updateType: ConversationUpdated["updateType"], more: object = {}, id = "room") {
  peer.say({ type: "conversation_updated", conversationId: id, updateType, ...more });
}

describe("the list", () => {
  test("comes page by page, newest activity first", async () => {
    const { gateway } = scene;
    for (let at = 0; at < 120; at++) {
      const room = gateway.addRoom(`r${at}`, ["alice"]);
      gateway.write(room.id, "alice", "hello").createdAt = later(at * 1000);
    }
    const other = scene.join();
    await eventually(() => other.chat.getSnapshot().conversations.isLoaded);
    const list = () => other.chat.getSnapshot().conversations;
    expect(
      list()
        .items.map(({ id }) => id)
        .slice(0, 2),
    ).toEqual(["r119", "r118"]);
    expect(list()).toMatchObject({ hasMore: true });
    expect(list().items).toHaveLength(50);
    await other.chat.loadMoreConversations();
    await other.chat.loadMoreConversations();
    expect(list().items).toHaveLength(121);
    expect(list().hasMore).toBe(false);
    // After another connection it is still complete, and one look was enough.
    const count = gateway.calls.filter(({ path }) => path === "/conversations").length;
    (await gateway.peer(2)).cut();
    await eventually(() => gateway.calls.filter(({ path }) => path === "/conversations").length > count);
    await eventually(() => !list().isLoading);
    expect(list()).toMatchObject({ hasMore: false });
    expect(list().items).toHaveLength(121);
  });

  test("is fetched again after it failed", async () => {
    let failures = 0;
    scene.gateway.refuseRest(({ path }) =>
      path === "/conversations" && failures++ === 0 ? { status: 503, headers: { "retry-after": "0" } } : null,
    );
    const other = scene.join();
    const seen = new Set<string | undefined>();
    other.chat.subscribe(() => seen.add(other.chat.getSnapshot().conversations.failure?.code));
    await eventually(() => other.chat.getSnapshot().conversations.isLoaded);
    expect(seen).toContain("UNAVAILABLE");
    expect(other.chat.getSnapshot().conversations.failure).toBeNull();
  });

  test("a page of it that could not be fetched is over in a while: whoever asks again is answered", async () => {
    for (let at = 0; at < 60; at++) scene.gateway.addRoom(`r${at}`, ["alice"]);
    const other = scene.join();
    const list = () => other.chat.getSnapshot().conversations;
    await eventually(() => list().isLoaded);
    scene.gateway.refuseRest(({ query }) =>
      query.has("cursor") ? { status: 503, headers: { "retry-after": "0" } } : null,
    );
    await expect(other.chat.loadMoreConversations()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(list()).toMatchObject({ isLoading: false, hasMore: true, failure: { code: "UNAVAILABLE" } });
    await eventually(() => list().failure === null);
    scene.gateway.refuseRest(null);
    await other.chat.loadMoreConversations();
    expect(list().items).toHaveLength(61);
  });

  test("a notification counts, and moves its conversation up", async () => {
    scene.gateway.addRoom("busy", ["alice", "bob"]);
    scene.gateway.write("busy", "bob", "first").createdAt = later(-1000);
    await alice.chat.loadConversation("busy");
    expect(ids()).toEqual(["busy", "room"]);
    notify("room", 4, 4);
    await eventually(() => ids()[0] === "room");
    expect(conversation()).toMatchObject({
      lastSeq: 4,
      unreadCount: 4,
      lastMessage: { content: "psst", senderName: "Bob", senderId: null },
    });
    expect(alice.events.map(({ type }) => type)).toEqual(["notification"]);
  });

  test("reading takes the count away, at once and for ever", async () => {
    notify("room", 4, 4);
    await eventually(() => alice.unread("room") === 4);
    alice.chat.markRead("room", 3);
    expect(alice.unread("room")).toBe(1);
    alice.chat.markRead("room");
    alice.chat.markRead("room");
    expect(alice.unread("room")).toBe(0);
    notify("room", 5, 5); // as the gateway counts, which was not told
    await eventually(() => conversation()?.lastSeq === 5);
    expect(alice.unread("room")).toBe(1);
  });

  test("messages of an open conversation count too, and one's own do not", async () => {
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    scene.gateway.speak("room", "bob", "one");
    await eventually(() => alice.unread("room") === 1);
    alice.chat.send("room", "answer");
    await alice.shows("room", ["one", "answer"]);
    expect(conversation()).toMatchObject({
      unreadCount: 0,
      lastMessage: { content: "answer", senderId: "alice" },
    });
  });

  test("what no notification told of is found by a ping", async () => {
    const quick = scene.join({}, { timing: { pingInterval: 40 } });
    await eventually(() => quick.chat.getSnapshot().conversations.isLoaded);
    fill(scene.gateway, "room", 3);
    await eventually(() => quick.unread("room") === 3);
  });

  test("many of them by the page, though they are far down and only known from before", async () => {
    const { gateway } = scene;
    for (let at = 0; at < 120; at++) {
      const room = gateway.addRoom(`r${at}`, ["alice", "bob"]);
      gateway.write(room.id, "bob", "hello").createdAt = later(at * 1000);
    }
    const quick = scene.join({}, { timing: { pingInterval: 60 } });
    const list = () => quick.chat.getSnapshot().conversations;
    await eventually(() => list().isLoaded);
    while (list().hasMore) await quick.chat.loadMoreConversations();
    const count = gateway.calls.length;
    for (let at = 0; at < 120; at++) gateway.write(`r${at}`, "bob", "more").createdAt = later(1_000_000 - at);
    await eventually(() => list().items.every((item) => item.id === "room" || item.lastSeq === 2));
    expect(gateway.calls.length - count).toBeLessThan(20);
  });

  test("what is open far down is looked at again after a new connection, however many are in it", async () => {
    const { gateway } = scene;
    const crowd = range(1, 150).map((at) => `user${at}`);
    const big = gateway.addRoom("big", ["alice", ...crowd], "channel");
    gateway.write("big", "alice", "hello").createdAt = later(1000);
    for (const at of range(1, 60)) {
      gateway.addRoom(`r${at}`, ["alice"]);
      gateway.write(`r${at}`, "alice", "hello").createdAt = later(60_000 + at * 1000);
    }
    await alice.chat.loadConversation("big");
    alice.chat.open("big");
    await eventually(() => alice.room("big")?.status === "joined");
    peer.cut();
    big.name = "Renamed";
    await eventually(() => conversation("big")?.name === "Renamed");
  });

  test("a conversation that was left meanwhile is found missing", async () => {
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    await alice.chat.loadConversation("room"); // with its being joined it is looked at, which is not the call that is meant
    scene.gateway.rooms.delete("room");
    peer.cut();
    await eventually(() => alice.room("room")?.gone === "not_found");
    await eventually(() => ids().length === 0);
  });

  test("nothing that stayed the same is another object", async () => {
    scene.gateway.addRoom("other", ["alice"]);
    await alice.chat.loadConversation("other");
    const before = conversation("other");
    notify("room", 1, 1);
    await eventually(() => alice.unread("room") === 1);
    expect(conversation("other")).toBe(before);
    const state = alice.chat.getSnapshot();
    await alice.chat.loadConversation("other");
    expect(alice.chat.getSnapshot()).toBe(state);
  });
});

describe("changes of a conversation", () => {
  test("created: it appears", async () => {
    scene.gateway.addRoom("new", ["bob", "alice"]);
    update("created", { userIds: ["bob", "alice"], name: "new", conversationType: "group" }, "new");
    await eventually(() => ids().includes("new"));
  });

  test("renamed: everywhere", async () => {
    update("name_changed", { name: "Another" });
    await eventually(() => conversation()?.name === "Another");
  });

  test("members come and go, once though it is told twice", async () => {
    const carol = { userIds: ["carol"], members: [{ ...memberOf("carol"), lastReadSeq: 7 }] };
    update("member_added", carol);
    update("member_added", carol);
    await eventually(() => conversation()?.memberCount === 3);
    expect(conversation()?.readers).toEqual({ bob: 0, carol: 7 });
    expect(conversation()?.members.map(({ userId }) => userId)).toEqual(["alice", "bob", "carol"]);
    update("member_removed", { userIds: ["bob"], members: [{ ...memberOf("carol"), role: "admin" }] });
    update("member_removed", { userIds: ["bob"] });
    update("name_changed", { name: "done" });
    await eventually(() => conversation()?.name === "done");
    expect(conversation()).toMatchObject({
      memberCount: 2,
      members: [{ userId: "alice" }, { userId: "carol", role: "admin" }],
    });
    expect(conversation()?.readers).toEqual({ carol: 7 });
  });

  test("removed while it is open: it is gone, with all that was shown and all that waits", async () => {
    fill(scene.gateway, "room", 3);
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 3);
    scene.gateway.on("send_message", () => {});
    alice.chat.send("room", "too late");
    update("member_removed", { userIds: ["alice"], actorId: "bob" });
    await eventually(() => alice.room("room")?.gone === "removed");
    expect(alice.room("room")).toMatchObject({
      status: "gone",
      messages: [],
      outgoing: [{ status: "failed", failure: { code: "NOT_A_MEMBER" } }],
    });
    expect(ids()).toEqual([]);
    expect(alice.events.filter(({ type }) => type === "gone")).toHaveLength(1);
  });

  test("removed while an older answer is on its way: that does not bring it back", async () => {
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadConversation("room");
    await eventually(() => scene.gateway.calls.some(({ path }) => path === "/conversations/room"));
    update("member_removed", { userIds: ["alice"], actorId: "bob" });
    await eventually(() => alice.room("room")?.gone === "removed");
    release();
    await loading;
    expect(ids()).toEqual([]);
    expect(alice.room("room")?.gone).toBe("removed");
  });

  test("changed while an older answer is on its way: that does not undo it", async () => {
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadConversation("room");
    await eventually(() => scene.gateway.calls.some(({ path }) => path === "/conversations/room"));
    update("name_changed", { name: "Newer" });
    update("role_changed", { userIds: ["alice"], members: [{ ...memberOf("alice"), role: "admin" }] });
    update("settings_changed", { muted: true, archived: false });
    await eventually(() => conversation()?.isMuted);
    release();
    await loading;
    expect(conversation()).toMatchObject({ name: "Newer", role: "admin", isMuted: true });
  });

  test("members who come while an older answer is on its way are asked for again", async () => {
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadConversation("room");
    const asked = () => scene.gateway.calls.filter(({ path }) => path === "/conversations/room").length;
    await eventually(() => asked() === 1);
    update("member_added", { userIds: ["carol"], members: [memberOf("carol")] });
    await eventually(() => conversation()?.memberCount === 3);
    scene.gateway.rooms.get("room")?.members.push(memberOf("carol"));
    release();
    await loading;
    await eventually(() => asked() === 2);
    await eventually(() => conversation()?.memberCount === 3);
    expect(conversation()?.members.map(({ userId }) => userId)).toEqual(["alice", "bob", "carol"]);
  });

  test("told of before it is known: an older answer is asked for again", async () => {
    const room = scene.gateway.addRoom("new", ["bob", "alice"]);
    const release = scene.gateway.holdRest();
    update("created", { userIds: ["bob", "alice"], name: "new", conversationType: "group" }, "new");
    await eventually(() => scene.gateway.calls.some(({ path }) => path === "/conversations/new"));
    room.name = "Newer";
    update("name_changed", { name: "Newer" }, "new");
    update("name_changed", { name: "seen" });
    await eventually(() => conversation()?.name === "seen");
    release();
    await eventually(() => conversation("new")?.name === "Newer");
  });

  test("brought back while still open: it is live again", async () => {
    fill(scene.gateway, "room", 2);
    alice.chat.open("room");
    await eventually(() => alice.contents("room").length === 2);
    update("member_removed", { userIds: ["alice"], actorId: "bob" });
    await eventually(() => alice.room("room")?.status === "gone");
    peer.joined.delete("room");
    update("member_added", { userIds: ["alice"], actorId: "bob" });
    await eventually(() => alice.room("room")?.status === "joined");
    await alice.shows("room", ["m1", "m2"]);
    expect(alice.room("room")?.gone).toBeNull();
    expect(ids()).toEqual(["room"]);
  });

  test("deleted: it is gone", async () => {
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    update("deleted", { actorId: "bob" });
    await eventually(() => alice.room("room")?.gone === "deleted");
    expect(ids()).toEqual([]);
  });

  test("deleted, and a call finds that it is gone before it is told: told is why", async () => {
    alice.chat.open("room");
    await eventually(() => alice.room("room")?.status === "joined");
    await alice.chat.loadConversation("room"); // with its being joined it is looked at, which is not the call that is meant
    scene.gateway.rooms.delete("room");
    await expect(alice.chat.loadConversation("room")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    expect(alice.room("room")?.gone).toBe("not_found");
    update("deleted", { actorId: "bob" });
    await eventually(() => alice.room("room")?.gone === "deleted");
    expect(alice.events.filter(({ type }) => type === "gone")).toHaveLength(1);
  });

  test("left: it is gone, once though the gateway tells too", async () => {
    await alice.chat.leave("room");
    expect(alice.room("room")?.gone).toBe("left");
    update("member_removed", { userIds: ["alice"], actorId: "alice" });
    update("name_changed", { name: "x" }, "unknown");
    await eventually(() => ids().length === 0);
    expect(alice.events.filter(({ type }) => type === "gone")).toHaveLength(1);
  });

  test("left: it is not asked for again, neither by what is still told of it nor by what was to be looked at", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0.1); // looks come in the order in which they became due
    const asked = (id: string) =>
      scene.gateway.calls.filter(({ path }) => path === `/conversations/${id}`).length;
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadConversation("room");
    await eventually(() => asked("room") === 1);
    update("member_added", { userIds: ["carol"], members: [memberOf("carol")] }); // which makes it look again, soon
    await eventually(() => conversation()?.memberCount === 3);
    scene.gateway.rooms.get("room")?.members.push(memberOf("carol"));
    release();
    await loading;
    await alice.chat.leave("room");
    notify("room", 1, 1);
    update("name_changed", { name: "late" });
    scene.gateway.addRoom("other", ["alice", "bob"]);
    notify("other", 1, 1);
    await eventually(() => ids().includes("other"));
    // A look that became due after that of "room".
    const another = scene.gateway.holdRest();
    const reloading = alice.chat.loadConversation("other");
    await eventually(() => asked("other") === 2);
    update("member_added", { userIds: ["carol"], members: [memberOf("carol")] }, "other");
    await eventually(() => conversation("other")?.memberCount === 3);
    another();
    await reloading;
    await eventually(() => asked("other") === 3);
    expect(asked("room")).toBe(1);
  });
});

describe("members", () => {
  test("are loaded page by page, and kept up to date", async () => {
    const everybody = Array.from({ length: 150 }, (_, at) => `user${at}`);
    scene.gateway.addRoom("channel", ["alice", ...everybody], "channel");
    await alice.chat.loadConversation("channel");
    await alice.chat.loadMembers("channel");
    const list = () => alice.room("channel")?.members;
    expect(list()).toMatchObject({ isLoaded: true, hasMore: true });
    await alice.chat.loadMembers("channel");
    expect(list()?.items).toHaveLength(151);
    expect(list()?.hasMore).toBe(false);
    await alice.chat.removeMember("channel", "user7");
    expect(list()?.items.some(({ userId }) => userId === "user7")).toBe(false);
    expect(conversation("channel")?.memberCount).toBe(150);
    await alice.chat.addMembers("channel", ["carol"]);
    await eventually(() => conversation("channel")?.memberCount === 151);
  });

  test("are found by name, also those who are not loaded", async () => {
    const everybody = range(1, 150).map((at) => `user${at}`);
    scene.gateway.addRoom("channel", ["alice", ...everybody], "channel");
    await alice.chat.loadConversation("channel");
    await alice.chat.loadMembers("channel");
    const { userName } = memberOf("user150");
    await expect(alice.chat.searchMembers("channel", userName)).resolves.toMatchObject([
      { userId: "user150" },
    ]);
    expect(alice.room("channel")?.members.items).toHaveLength(100);
  });

  test("that could not be loaded are, in a while and with the next connection", async () => {
    let refusals = 2;
    const refuse = (after: string) => (call: Call) =>
      call.path === "/conversations/room/members" && refusals-- > 0
        ? { status: 503, code: "UNAVAILABLE", headers: { "retry-after": after } }
        : null;
    scene.gateway.refuseRest(refuse("0"));
    await expect(alice.chat.loadMembers("room")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await eventually(() => alice.room("room")?.members.items.length === 2);

    const other = scene.join();
    await eventually(() => other.chat.getSnapshot().conversations.isLoaded);
    refusals = 1;
    scene.gateway.refuseRest(refuse("1000"));
    await expect(other.chat.loadMembers("room")).rejects.toMatchObject({ code: "UNAVAILABLE" });
    (await scene.gateway.peer(2)).cut();
    await eventually(() => other.room("room")?.members.isLoaded);
  });

  test("who came, went or became an admin without a connection is seen after it, as far as one had looked", async () => {
    const everybody = range(1, 250).map((at) => `user${at}`);
    const { members } = scene.gateway.addRoom("channel", ["alice", ...everybody], "channel");
    await alice.chat.loadConversation("channel");
    alice.chat.open("channel");
    await eventually(() => alice.room("channel")?.status === "joined");
    await alice.chat.loadMembers("channel");
    await alice.chat.loadMembers("channel");
    const list = () => alice.room("channel")?.members;
    expect(list()?.items).toHaveLength(200);
    await alice.chat.loadMembers("room"); // which is not open
    peer.cut();
    members.splice(7, 1);
    members.splice(150, 1, { ...memberOf("user151"), role: "admin" });
    await eventually(() =>
      list()?.items.some(({ role, userId }) => role === "admin" && userId === "user151"),
    );
    expect(list()?.items.map(({ userId }) => userId)).toEqual(
      members.slice(0, 200).map(({ userId }) => userId),
    );
    expect(alice.room("room")?.members).toMatchObject({ isLoaded: false, items: [] });
    await alice.chat.loadMembers("channel");
    expect(list()).toMatchObject({ items: { length: 250 }, hasMore: false });
  });

  test("could not be asked for after a connection: they are, in a while", async () => {
    alice.chat.open("room");
    await alice.chat.loadMembers("room");
    let refusals = 2;
    scene.gateway.refuseRest((call) =>
      call.path === "/conversations/room/members" && refusals-- > 0
        ? { status: 503, code: "UNAVAILABLE", headers: { "retry-after": "0" } }
        : null,
    );
    peer.cut();
    scene.gateway.rooms.get("room")?.members.push(memberOf("carol"));
    await eventually(() => alice.room("room")?.members.items.length === 3);
  });

  test("what is told of them while they are on their way is newer", async () => {
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadMembers("room");
    await eventually(() => alice.room("room")?.members.isLoading);
    update("role_changed", { userIds: ["bob"], members: [{ ...memberOf("bob"), role: "admin" }] });
    update("member_added", { userIds: ["carol"], members: [memberOf("carol")] });
    await eventually(() => conversation()?.memberCount === 3);
    release();
    await loading;
    expect(alice.room("room")?.members.items.map(({ userId, role }) => `${userId} ${role}`)).toEqual([
      "alice member",
      "bob admin",
      "carol member",
    ]);
  });

  test("asked for on a connection that has ended meanwhile, they are asked for again", async () => {
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadMembers("room");
    await eventually(() => alice.room("room")?.members.isLoading);
    peer.cut();
    await scene.gateway.peer(2);
    await alice.becomes("connected");
    release();
    await loading;
    const asked = () =>
      scene.gateway.calls.filter(({ path }) => path === "/conversations/room/members").length;
    await eventually(() => asked() === 2 && !alice.room("room")?.members.isLoading);
  });

  test("of a conversation that was left meanwhile are not shown", async () => {
    alice.chat.open("room");
    const release = scene.gateway.holdRest();
    const loading = alice.chat.loadMembers("room");
    await eventually(() => alice.room("room")?.members.isLoading);
    update("member_removed", { userIds: ["alice"], actorId: "bob" });
    await eventually(() => alice.room("room")?.status === "gone");
    release();
    await loading;
    expect(alice.room("room")?.members).toEqual({
      items: [],
      isLoaded: false,
      isLoading: false,
      hasMore: false,
    });
  });

  test("a refusal has its code", async () => {
    scene.gateway.refuseRest(() => ({ status: 403, code: "FORBIDDEN" }));
    await expect(alice.chat.addMembers("room", ["carol"])).rejects.toMatchObject({
      code: "FORBIDDEN",
      message: "refused",
      retryable: false,
    });
  });

  test("a gateway that cannot be reached is one too", async () => {
    const away = scene.join({ url: "ws://127.0.0.1:9/ws/chat" });
    await expect(away.chat.searchPeople("bo")).rejects.toMatchObject({ code: "NETWORK", retryable: true });
  });

  test("an expired token is replaced, and the call repeated", async () => {
    const why: boolean[] = [];
    const other = scene.join({
      getToken: ({ refused }) => {
        why.push(refused);
        return refused ? "alice:fresh" : "alice:stale";
      },
    });
    await eventually(() => other.chat.getSnapshot().conversations.isLoaded);
    let isFirst = true;
    scene.gateway.refuseRest(() => {
      const refusal = isFirst ? { status: 401, code: "TOKEN_EXPIRED" } : null;
      isFirst = false;
      return refusal;
    });
    await expect(other.chat.searchPeople("bo")).resolves.toEqual([]);
    expect(why).toEqual([false, true]);
  });
});
