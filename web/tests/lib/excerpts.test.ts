import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, fill, range, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

let scene: Scene;
let alice: Client;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("room", ["alice", "bob"]);
  fill(scene.gateway, "room", 100);
  alice = scene.join({ pageSize: 10 });
  alice.chat.open("room");
  await eventually(() => alice.room("room")?.status === "joined");
});
afterEach(() => scene.end());

const excerpt = () => alice.room("room")?.excerpt ?? null;
const shown = () => (excerpt() ?? alice.room("room"))?.messages.map(({ seq }) => seq);

test("one jumps to a message, and pages both ways from there", async () => {
  await alice.chat.openAt("room", 50);
  expect(excerpt()).toMatchObject({ seq: 50, hasOlder: true, hasNewer: true });
  expect(shown()).toEqual(range(45, 54));
  await alice.chat.loadOlder("room");
  expect(shown()).toEqual(range(35, 54));
  await Promise.all([alice.chat.loadNewer("room"), alice.chat.loadNewer("room")]);
  expect(shown()).toEqual(range(35, 64));
  expect(alice.seqs("room")).toEqual(range(91, 100));
});

test("the excerpt ends at the first message, and the room says so", async () => {
  await alice.chat.openAt("room", 8);
  await alice.chat.loadOlder("room");
  expect(shown()).toEqual(range(1, 12));
  expect(alice.room("room")).toMatchObject({ hasOlder: false });
  await alice.chat.loadOlder("room");
  expect(shown()).toEqual(range(1, 12));
});

test("grown to the live end, both are one and go on", async () => {
  await alice.chat.openAt("room", 75);
  while (excerpt()) await alice.chat.loadNewer("room");
  expect(shown()).toEqual(range(70, 100));
  expect(alice.room("room")).toMatchObject({ hasOlder: true });
  await alice.chat.loadOlder("room");
  expect(shown()).toEqual(range(60, 100));
  scene.gateway.speak("room", "bob", "live");
  await eventually(() => alice.contents("room").at(-1) === "live");
});

test("what is in the live window, or next to it, needs no excerpt", async () => {
  await alice.chat.openAt("room", 95);
  await alice.chat.openAt("room", 88);
  expect(excerpt()).toBeNull();
  expect(shown()).toEqual(range(83, 100));
});

test("what is said meanwhile waits at the live end, where one returns to", async () => {
  await alice.chat.openAt("room", 20);
  scene.gateway.speak("room", "bob", "live");
  await eventually(() => alice.contents("room").at(-1) === "live");
  expect(shown()).toEqual(range(15, 24));
  alice.chat.backToLive("room");
  expect(excerpt()).toBeNull();
  expect(shown()).toEqual(range(91, 101));
});

test("the last of two jumps wins, and a return wins over both", async () => {
  const release = scene.gateway.holdRest();
  const jumps = [alice.chat.openAt("room", 20), alice.chat.openAt("room", 60)];
  release();
  expect(await Promise.all(jumps)).toEqual([false, true]);
  expect(excerpt()?.seq).toBe(60);
  const releaseAgain = scene.gateway.holdRest();
  const jump = alice.chat.openAt("room", 20);
  alice.chat.backToLive("room");
  releaseAgain();
  expect(await jump).toBe(false);
  expect(excerpt()).toBeNull();
});

test("messages change in the excerpt as they do elsewhere", async () => {
  await alice.chat.openAt("room", 20);
  const message = scene.gateway.rooms.get("room")?.messages[19];
  if (!message) throw new Error("no such message");
  const peer = await scene.gateway.peer(1);
  peer.say({
    type: "message_updated",
    message: { ...message, content: "changed", changeSeq: 1 },
    change: "edited",
  });
  await eventually(() => excerpt()?.messages.find(({ seq }) => seq === 20)?.content === "changed");
});

test("what one does to a message of the excerpt shows there at once, and stays", async () => {
  await alice.chat.openAt("room", 20);
  const reactions = () => excerpt()?.messages.find(({ seq }) => seq === 20)?.reactions;
  alice.chat.addReaction("room", "room-20", "👍");
  expect(reactions()).toEqual({ "👍": ["alice"] });
  await eventually(() => alice.room("room")?.lastChange === 1);
  expect(reactions()).toEqual({ "👍": ["alice"] });
});

test("changes that are too many to be told are fetched for the excerpt, too", async () => {
  await alice.chat.openAt("room", 20);
  scene.gateway.resumeLimit = 3;
  const peer = await scene.gateway.peer(1);
  const change = (seq: number) =>
    ({ type: "edit_message", conversationId: "room", messageId: `room-${seq}`, content: "changed" }) as const;
  for (const seq of range(15, 24)) scene.gateway.changed(change(seq), "bob");
  peer.cut();
  await eventually(() => excerpt()?.messages.every(({ content }) => content === "changed"));
  expect(shown()).toEqual(range(15, 24));
});

test("a jump before the conversation has come is shown, and joins what comes", async () => {
  const other = scene.join({ pageSize: 10 });
  await other.becomes("connected");
  await other.chat.openAt("room", 97);
  expect(other.room("room")).toMatchObject({ isLoaded: true, excerpt: { hasNewer: false } });
  other.chat.open("room");
  await eventually(() => other.room("room")?.status === "joined" && other.seqs("room").length > 0);
  expect(other.room("room")?.excerpt).toBeNull();
  expect(other.seqs("room")).toEqual(range(91, 100));
});

test("closed and opened again, one is at the live end", async () => {
  const other = scene.join({ pageSize: 10 });
  const close = other.chat.open("room");
  await other.chat.openAt("room", 20);
  expect(other.room("room")?.excerpt?.seq).toBe(20);
  close();
  await eventually(() => other.room("room")?.status === "closed");
  expect(other.room("room")?.excerpt).toBeNull();
});

test("a jump that failed leaves one where one was", async () => {
  await alice.chat.openAt("room", 20);
  scene.gateway.refuseRest(({ path }) => (path.endsWith("/messages") ? { status: 503 } : null));
  await expect(alice.chat.openAt("room", 50)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(excerpt()?.seq).toBe(20);
});

test("one searches, page by page", async () => {
  for (const text of ["a walk", "walk on", "no more", "the walk"]) scene.gateway.write("room", "bob", text);
  const wanted = { words: "walk", conversationId: "room", senderId: "bob", after: "2026-01-01T00:00:00Z" };
  const first = await alice.chat.search(wanted);
  expect(first.items.map(({ snippet }) => snippet)).toEqual(["the walk", "walk on"]);
  const second = await alice.chat.search(wanted, first.nextCursor);
  expect(second.items.map(({ message }) => message.content)).toEqual(["a walk"]);
  expect(second.nextCursor).toBeNull();
  const { query } = scene.gateway.calls.at(-1) ?? {};
  expect(Object.fromEntries(query ?? [])).toEqual({
    q: "walk",
    conversationId: "room",
    senderId: "bob",
    after: "2026-01-01T00:00:00Z",
    cursor: "2",
  });
});
