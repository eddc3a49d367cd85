/** Chats against a test's gateway, all ended with it. */
import { WebSocket as NodeWebSocket } from "ws";
import { createChat, type Internals } from "../../../src/lib/chat.ts";
import type { Chat, ChatEvent, ChatOptions, Connection, Message, Room } from "../../../src/lib/types.ts";
import { eventually } from "./eventually.ts";
import { startGateway, type TestGateway } from "./gateway.ts";

Object.assign(globalThis, { WebSocket: NodeWebSocket });

export interface Client {
  chat: Chat;
  events: ChatEvent[];
  becomes(status: Connection["status"]): Promise<unknown>;
  room(id: string): Room | undefined;
  contents(id: string): string[];
  seqs(id: string): number[];
  /** Until the room's messages are these. */
  shows(id: string, contents: string[]): Promise<unknown>;
  /** Until nothing is on its way in it. */
  settled(id: string): Promise<unknown>;
  unread(id: string): number | undefined;
}

export async function startScene() {
  const gateway = await startGateway();
  const chats: Chat[] = [];

  function join(options: Partial<ChatOptions> = {}, internals: Internals = {}): Client {
    const chat = createChat(
      { url: gateway.url, getToken: () => "alice", storage: false, ...options },
      {
        ...internals,
        timing: { reconnect: { base: 10, cap: 50 }, ...internals.timing },
      },
    );
    chats.push(chat);
    const events: ChatEvent[] = [];
    chat.listen((event) => events.push(event));
    chat.connect();
    const room = (id: string) => chat.getSnapshot().rooms[id];
    const contents = (id: string) => (room(id)?.messages ?? []).map((message: Message) => message.content);
    return {
      chat,
      events,
      room,
      contents,
      becomes: (status) =>
        eventually(() => chat.getSnapshot().connection.status === status, `status ${status}`),
      seqs: (id) => (room(id)?.messages ?? []).map(({ seq }) => seq),
      shows: (id, wanted) =>
        eventually(
          () => JSON.stringify(contents(id)) === JSON.stringify(wanted),
          `${id} shows ${wanted}`,
        ).catch((error: Error) => {
          throw new Error(`${error.message}, but ${contents(id)}`);
        }),
      settled: (id) => eventually(() => !room(id)?.outgoing.length, `${id} is settled`),
      unread: (id) => chat.getSnapshot().conversations.items.find((item) => item.id === id)?.unreadCount,
    };
  }

  return {
    gateway,
    join,
    async end() {
      for (const chat of chats) chat.dispose();
      await gateway.stop();
    },
  };
}

export type Scene = Awaited<ReturnType<typeof startScene>>;

/** The numbers from one to another, both included. */
export const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);

export function fill(gateway: TestGateway, id: string, count: number, senderId = "bob"): void {
  for (let at = 0; at < count; at++)
    gateway.write(id, senderId, `m${(gateway.rooms.get(id)?.messages.length ?? 0) + 1}`);
}
