/** Chats against real gateways: PALABRE="ws://127.0.0.1:3000/ws/chat,ws://…" says where those are. */
import { WebSocket as NodeWebSocket } from "ws";
import { createChat } from "../../../src/lib/chat.ts";
import type { Chat } from "../../../src/lib/types.ts";
import { eventually } from "./eventually.ts";

Object.assign(globalThis, { WebSocket: NodeWebSocket });

export const addresses = (process.env.PALABRE ?? "").split(",").filter(Boolean);
const run = Date.now().toString(36);
const chats: Chat[] = [];

/** A name that nobody had in an earlier run. */
export const called = (name: string) => `${name} ${run}`;

export async function signIn(name: string, url: string) {
  const answer = await fetch(url.replace(/^ws(.*)\/ws\/chat$/, "http$1/api/dev/token"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ userName: called(name) }),
  });
  const { token, userId }: { token: string; userId: string } = await answer.json();
  const chat = createChat({ url, getToken: () => token, userId, storage: false });
  chats.push(chat);
  chat.connect();
  await eventually(() => chat.getSnapshot().conversations.isLoaded, `${name} is here`);
  const contents = (id: string) => chat.getSnapshot().rooms[id]?.messages.map(({ content }) => content) ?? [];
  const joined = (id: string) =>
    eventually(() => chat.getSnapshot().rooms[id]?.status === "joined", "joined");
  return { chat, userId, contents, joined };
}

export function endAll(): void {
  for (const chat of chats.splice(0)) chat.dispose();
}
