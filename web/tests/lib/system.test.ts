/**
 * The library against real gateways, with nothing in between: PALABRE="ws://127.0.0.1:3000/ws/chat,ws://…" npm test.
 * Without that variable these are skipped; `make run` prints the addresses.
 */
import { afterEach, describe, expect, test } from "vitest";
import { range } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import { addresses, called, endAll, signIn } from "./support/system.ts";

const first = addresses[0] ?? "";
const second = addresses[1] ?? first;

afterEach(endAll);

describe.skipIf(!first)("against real gateways", () => {
  test("two people on two gateways talk, type, and see each other's changes", async () => {
    const alice = await signIn("Alice", first);
    const bob = await signIn("Bob", second);
    expect(await alice.chat.searchPeople(called("Bob"))).toMatchObject([{ userId: bob.userId }]);
    const { id } = await alice.chat.createConversation({
      type: "group",
      name: "Walk",
      memberIds: [bob.userId],
    });
    const listed = (who: typeof bob) =>
      who.chat.getSnapshot().conversations.items.find((item) => item.id === id);
    await eventually(() => listed(bob));

    alice.chat.open(id);
    await alice.joined(id);
    alice.chat.send(id, "before you came");
    await eventually(() => listed(bob)?.unreadCount === 1);
    bob.chat.open(id);
    await bob.joined(id);
    alice.chat.startTyping(id);
    await eventually(() => bob.chat.getSnapshot().rooms[id]?.typing[0]?.userId === alice.userId);
    for (const n of range(1, 30)) (n % 2 ? alice : bob).chat.send(id, `${n}`);
    await eventually(() => alice.contents(id).length === 31 && bob.contents(id).length === 31);
    expect(alice.contents(id)).toEqual(bob.contents(id));
    const own = (who: typeof bob) =>
      alice.chat.getSnapshot().rooms[id]?.messages.filter((m) => m.senderId === who.userId);
    expect(own(bob)?.map(({ content }) => Number(content))).toEqual(range(1, 15).map((n) => 2 * n));
    expect(bob.chat.getSnapshot().rooms[id]?.typing).toEqual([]);

    await alice.chat.rename(id, "Long walk");
    await eventually(() => listed(bob)?.name === "Long walk");
    await alice.chat.removeMember(id, bob.userId);
    await eventually(() => bob.chat.getSnapshot().rooms[id]?.gone === "removed");
    await alice.chat.addMembers(id, [bob.userId]);
    await eventually(() => bob.contents(id).length === 31);
    await alice.chat.deleteConversation(id);
    await eventually(() => bob.chat.getSnapshot().rooms[id]?.gone === "deleted");
  });

  test("what is sent and missed without a connection is made up for, on another gateway", async () => {
    const alice = await signIn("Alice", first);
    const bob = await signIn("Bob", second);
    const { id } = await alice.chat.createConversation({ type: "direct", memberIds: [bob.userId] });
    bob.chat.open(id);
    await bob.joined(id);
    bob.chat.disconnect();
    alice.chat.open(id);
    await alice.joined(id);
    for (const n of range(1, 20)) alice.chat.send(id, `a${n}`);
    for (const n of range(1, 20)) bob.chat.send(id, `b${n}`);
    await eventually(() => alice.contents(id).length === 20);
    bob.chat.connect();
    await eventually(
      () => alice.contents(id).length === 40 && bob.contents(id).length === 40,
      "all 40",
      15_000,
    );
    const wanted = [...range(1, 20).map((n) => `a${n}`), ...range(1, 20).map((n) => `b${n}`)];
    expect(bob.contents(id)).toEqual(wanted);
    expect(alice.contents(id)).toEqual(wanted);
    expect(bob.chat.getSnapshot().rooms[id]?.outgoing).toEqual([]);
  });

  test("what it asks for and may not have is refused with a code", async () => {
    const alice = await signIn("Alice", first);
    await expect(alice.chat.loadConversation("nowhere")).rejects.toMatchObject({ code: "NOT_A_MEMBER" });
    alice.chat.open("nowhere");
    await eventually(() => alice.chat.getSnapshot().rooms.nowhere?.gone === "not_found");
    const tempId = alice.chat.send("nowhere", "hello");
    const sent = () =>
      alice.chat.getSnapshot().rooms.nowhere?.outgoing.find((entry) => entry.tempId === tempId);
    await eventually(() => sent()?.failure?.code === "NOT_A_MEMBER");
    expect(sent()?.status).toBe("failed");
  });
});
