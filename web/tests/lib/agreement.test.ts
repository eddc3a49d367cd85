/**
 * What devices make of their frames is what a fresh one fetches, whatever people did meanwhile, all at once and on all
 * gateways. Against real gateways only, as `system.test.ts`.
 */
import { afterEach, describe, expect, test, vi } from "vitest";
import { ChatError } from "../../src/lib/errors.ts";
import type { Message } from "../../src/lib/frames.ts";
import type { Chat, Conversation, Room } from "../../src/lib/types.ts";
import { range } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";
import { addresses, endAll, signIn } from "./support/system.ts";

const STEPS = 60;
const DEADLINE = 20_000;
const EMOJIS = ["👍", "🎉", "❤️"];
const EXPECTED = new Set(["FORBIDDEN", "NOT_FOUND", "NOT_A_MEMBER", "NETWORK"]);

afterEach(endAll);

/** Always the same numbers for a seed (mulberry32), so that a failure can be had again. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  };
}

const roomOf = (chat: Chat, id: string) => chat.getSnapshot().rooms[id];
const listed = (chat: Chat, id: string) =>
  chat.getSnapshot().conversations.items.find((item) => item.id === id);

/** What everybody is told of a message. */
function shared({ tempId, ...message }: Message): Message {
  return message;
}

/** What two devices of one person must have in common. */
function known(room: Room | undefined, item: Conversation | undefined, threadId: string) {
  const thread = room?.threads[threadId];
  return {
    messages: room?.messages.map(shared),
    pins: room?.pins.items.map(({ message, pinnedBy }) => ({ message: shared(message), pinnedBy })),
    members: room?.members.items.map(({ userId, role }) => `${role} ${userId}`).sort(),
    thread: { parent: thread?.parent && shared(thread.parent), replies: thread?.replies.map(shared) },
    conversation: item && {
      name: item.name,
      lastSeq: item.lastSeq,
      last: item.lastMessage?.content,
      memberCount: item.memberCount,
      lastReadSeq: item.lastReadSeq,
      unreadCount: item.unreadCount,
      readers: item.readers,
      role: item.role,
      isPublic: item.isPublic,
      isMuted: item.isMuted,
      isArchived: item.isArchived,
    },
  };
}

/** Open, with everything there is. */
async function look(chat: Chat, id: string, threadId: string): Promise<void> {
  chat.open(id);
  await eventually(() => roomOf(chat, id)?.status === "joined", "joined", DEADLINE);
  while (roomOf(chat, id)?.hasOlder) await chat.loadOlder(id);
  await chat.loadMembers(id);
  await chat.loadPins(id);
  chat.openThread(id, threadId);
  await eventually(() => roomOf(chat, id)?.threads[threadId]?.isLoaded, "the thread", DEADLINE);
}

interface Moment {
  chat: Chat;
  id: string;
  message: Message;
  /** What is replied to, which is not deleted. */
  threadId: string;
  /** Of everybody. */
  ids: string[];
  roll: (sides: number) => number;
  oneOf: <Item>(items: readonly Item[]) => Item;
}

function reconnect({ chat }: Moment): void {
  chat.disconnect();
  chat.connect();
}

/** What people do; what is named twice they do more often. */
const ACTS: ((moment: Moment) => unknown)[] = [
  ({ chat, id, roll }) => chat.send(id, `later ${roll(1000)}`),
  ({ chat, id, roll }) => chat.send(id, `later ${roll(1000)}`),
  ({ chat, id, threadId }) => chat.send(id, "a reply", { replyTo: threadId }),
  ({ chat, id, ids, oneOf }) => chat.send(id, "you there", { mentions: [oneOf(ids)] }),
  ({ chat, id, message, roll }) => chat.editMessage(id, message.id, `edited ${roll(1000)}`),
  ({ chat, id, message, roll }) => chat.editMessage(id, message.id, `edited ${roll(1000)}`),
  ({ chat, id, message, threadId }) => message.id !== threadId && chat.deleteMessage(id, message.id),
  ({ chat, id, message, oneOf }) => chat.addReaction(id, message.id, oneOf(EMOJIS)),
  ({ chat, id, message, oneOf }) => chat.addReaction(id, message.id, oneOf(EMOJIS)),
  ({ chat, id, message, oneOf }) => chat.removeReaction(id, message.id, oneOf(EMOJIS)),
  ({ chat, id, message }) => chat.markRead(id, message.seq),
  ({ chat, id, roll }) => chat.rename(id, `Walk ${roll(1000)}`),
  ({ chat, id, message }) => chat.pin(id, message),
  ({ chat, id, message }) => chat.unpin(id, message.id),
  ({ chat, id, roll }) => chat.changeSettings(id, { isMuted: roll(2) === 0 }),
  ({ chat, id, ids, roll }) => chat.setRole(id, ids[1 + roll(2)] ?? "", roll(2) ? "admin" : "member"),
  ({ chat, id, ids, roll }) => chat.setRole(id, ids[1 + roll(2)] ?? "", roll(2) ? "admin" : "member"),
  ({ chat, id, ids }) => chat.removeMember(id, ids[2] ?? ""),
  ({ chat, id, ids }) => chat.addMembers(id, [ids[2] ?? ""]),
  ({ chat, id, roll }) => chat.setClosed(id, roll(2) === 0),
  ({ chat, id, roll }) => chat.setPublic(id, roll(2) === 0),
  reconnect,
  reconnect,
];

/** Nothing is on its way; what was refused waits for its writer. */
const isSettled = (room: Room | undefined) => room?.outgoing.every(({ status }) => status === "failed");

/** Not everybody may do everything, and what is pinned or changed may be gone by now. */
function mayBe(error: unknown): void {
  if (!(error instanceof ChatError && EXPECTED.has(error.code))) throw error;
}

/** People do what they may, at short intervals; returns when all of it is answered. */
async function live(people: { chat: Chat }[][], around: Omit<Moment, "chat" | "message">): Promise<void> {
  const { id, roll, oneOf } = around;
  const attempts: Promise<unknown>[] = [];
  for (const _ of range(1, STEPS)) {
    const { chat } = oneOf(oneOf(people));
    const message = oneOf(roomOf(chat, id)?.messages ?? []);
    if (!message) continue; // who is out sees none
    const act = oneOf(ACTS);
    const going = async () => act({ ...around, chat, message });
    attempts.push(going().catch(mayBe));
    await new Promise((resolve) => setTimeout(resolve, roll(20)));
  }
  await Promise.all(attempts);
}

describe.skipIf(!addresses.length)("against real gateways", () => {
  test.each([1, 2, 3])("devices agree with a fresh one (seed %i)", { timeout: 90_000 }, async (seed) => {
    const roll = dice(seed);
    const oneOf = <Item>(items: readonly Item[]): Item => items[roll(items.length)] as Item;
    const gateway = (at: number) => addresses[at % addresses.length] as string;
    const names = ["Alice", "Bob", "Carol"].map((name) => `${name} ${seed}`);
    const people = await Promise.all(
      names.map((name) => Promise.all([0, 1].map((at) => signIn(name, gateway(at))))),
    );
    const ids = people.map(([first]) => first?.userId ?? "");
    const alice = people[0]?.[0] as { chat: Chat };
    const { id } = await alice.chat.createConversation({ type: "channel", name: "Walk", memberIds: ids });
    const devices = people.flat().map(({ chat }) => chat);
    for (const chat of devices) await eventually(() => listed(chat, id), "listed", DEADLINE);
    alice.chat.open(id);
    await eventually(() => roomOf(alice.chat, id)?.status === "joined", "joined", DEADLINE);
    for (const n of range(1, 5)) alice.chat.send(id, `m${n}`);
    await eventually(() => roomOf(alice.chat, id)?.messages.length === 5, "five messages", DEADLINE);
    const threadId = roomOf(alice.chat, id)?.messages[0]?.id ?? "";
    await Promise.all(devices.map((chat) => look(chat, id, threadId)));

    await live(people, { id, threadId, ids, roll, oneOf });
    // Whoever is out now looks anew, as a person would.
    await alice.chat.setClosed(id, false);
    await alice.chat.addMembers(id, [ids[2] ?? ""]);
    for (const { chat } of people[2] ?? []) await look(chat, id, threadId);
    for (const chat of devices)
      await eventually(
        () => roomOf(chat, id)?.status === "joined" && isSettled(roomOf(chat, id)),
        "nothing on its way",
        DEADLINE,
      );

    for (const [who, mine] of people.entries()) {
      const fresh = await signIn(names[who] ?? "", gateway(who));
      await look(fresh.chat, id, threadId);
      for (const { chat } of mine)
        await vi.waitFor(
          () =>
            expect(known(roomOf(chat, id), listed(chat, id), threadId)).toEqual(
              known(roomOf(fresh.chat, id), listed(fresh.chat, id), threadId),
            ),
          DEADLINE,
        );
    }
  });
});
