/** The library's README is complete: every file, option, action, event and status is in it. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createChat } from "../../src/lib/chat.ts";

const folder = new URL("../../src/lib/", import.meta.url);
const readme = readFileSync(new URL("README.md", folder), "utf8");
const types = readFileSync(new URL("types.ts", folder), "utf8");

/** The body of an exported type. */
function partOf(name: string): string {
  const [, part] =
    types.match(new RegExp(`export (?:interface|type) ${name}\\b([\\s\\S]*?)\n(?:}|\n)`)) ?? [];
  if (part === undefined) throw new Error(`no ${name} in types.ts`);
  return part;
}
const fieldsOf = (name: string) =>
  [...partOf(name).matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, field]) => field ?? "");
const wordsOf = (name: string) => [...partOf(name).matchAll(/"(\w+)"/g)].map(([, word]) => word ?? "");

const chat = createChat({ url: "ws://127.0.0.1:9/ws/chat", getToken: () => "" });
const internal = ["getSnapshot", "subscribe", "listen"];

test.each([
  ["files", readdirSync(folder).filter((name) => name.endsWith(".ts"))],
  ["actions", Object.keys(chat).filter((name) => !internal.includes(name))],
  ["options", fieldsOf("ChatOptions")],
  ["what the hook takes", fieldsOf("UseWebSocketChatOptions")],
  ["what the hook returns", fieldsOf("UseWebSocketChat")],
  ["parts of the state", fieldsOf("ChatState")],
  ["parts of a room", fieldsOf("Room").filter((name) => name !== "conversationId")],
  ["connection states", [...wordsOf("ConnectionStatus"), ...wordsOf("ConnectionState")]],
  ["reasons of being gone", wordsOf("GoneReason")],
  ["events", [...partOf("ChatEvent").matchAll(/type: "(\w+)"/g)].map(([, word]) => word ?? "")],
  ["codes", wordsOf("ClientErrorCode")],
])("%s are documented", (_, names) => {
  expect(names.length).toBeGreaterThan(1);
  expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([]);
});
