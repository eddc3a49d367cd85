import { Window } from "happy-dom";
import { type ReactNode, StrictMode, useEffect, useState } from "react";
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import type { Message, UseWebSocketChatOptions } from "../../src/lib/types.ts";
import {
  ChatProvider,
  configureChat,
  useChatState,
  usePresence,
  useWebSocketChat,
} from "../../src/lib/useWebSocketChat.ts";
import { type Client, fill, type Scene, startScene } from "./support/chats.ts";
import { eventually } from "./support/eventually.ts";

const page = new Window();
Object.assign(globalThis, { window: page, document: page.document, navigator: page.navigator });
const { createRoot } = await import("react-dom/client");
const { renderToString } = await import("react-dom/server");

let scene: Scene;
let alice: Client;
let unmount: () => void;
let host: HTMLElement;
/** What React has to say about keys and updates. */
let complaints: MockInstance;

beforeEach(async () => {
  scene = await startScene();
  scene.gateway.addRoom("conversation-123", ["alice", "bob"]);
  alice = scene.join();
  complaints = vi.spyOn(console, "error");
});
afterEach(async () => {
  unmount();
  await scene.end();
  expect(complaints.mock.calls).toEqual([]);
  complaints.mockRestore();
});

function render(content: ReactNode): void {
  host = document.createElement("div");
  const root = createRoot(host);
  root.render(content);
  unmount = () => root.unmount();
}

const text = () => host.textContent ?? "";
const shows = (wanted: string) =>
  eventually(() => text().includes(wanted), `the page shows ${wanted}`).catch((error: Error) => {
    throw new Error(`${error.message}, but ${text()}`);
  });

/** The seed document's example page; only types are added, and what a test reaches for. */
let type: (content: string) => void;
let press: () => void;

function SeedPage({ conversationId = "conversation-123" }: { conversationId?: string }) {
  const [messages, setMessages] = useState<Message[]>([]);
  const [newMessage, setNewMessage] = useState("");

  const { isAuthenticated, joinConversation, leaveConversation, sendChatMessage, startTyping, stopTyping } =
    useWebSocketChat({
      onNewMessage: (message) => {
        setMessages((prev) => [...prev, message]);
      },
      autoConnect: true,
    });

  // biome-ignore lint/correctness/useExhaustiveDependencies: as the seed has it
  useEffect(() => {
    if (isAuthenticated) {
      joinConversation(conversationId);
    }

    return () => {
      leaveConversation(conversationId);
    };
  }, [isAuthenticated, conversationId]);

  const handleSendMessage = () => {
    if (newMessage.trim()) {
      sendChatMessage(conversationId, newMessage);
      setNewMessage("");
    }
  };

  const handleTyping = () => {
    startTyping(conversationId);
    setTimeout(() => stopTyping(conversationId), 3000);
  };
  type = (content) => {
    setNewMessage(content);
    handleTyping();
  };
  press = handleSendMessage;

  return (
    <div>
      <div className="messages">
        {messages.map((msg) => (
          <div key={msg.id}>
            <strong>{msg.senderName}:</strong> {msg.content}
            {";"}
          </div>
        ))}
      </div>
      <i>{newMessage}</i>
    </div>
  );
}

describe.each([
  ["as it is", (content: ReactNode) => content],
  [
    "in strict mode, where React mounts everything twice",
    (content: ReactNode) => <StrictMode>{content}</StrictMode>,
  ],
])("the seed document's page, %s", (_, wrap) => {
  const renderPage = () =>
    render(
      wrap(
        <ChatProvider chat={alice.chat}>
          <SeedPage />
        </ChatProvider>,
      ),
    );

  test("shows what was said, what is said, and what one says", async () => {
    fill(scene.gateway, "conversation-123", 2);
    renderPage();
    await shows("Bob: m1;Bob: m2;");
    scene.gateway.speak("conversation-123", "bob", "live");
    await shows("Bob: m1;Bob: m2;Bob: live;");
    type("hello");
    await shows("hello");
    press();
    await shows("Bob: m1;Bob: m2;Bob: live;Alice: hello;");
    expect(scene.gateway.received("typing_start")).toHaveLength(1);
  });

  test("shows nothing twice after reconnecting, and nothing less", async () => {
    fill(scene.gateway, "conversation-123", 3);
    renderPage();
    await shows("m3;");
    for (let round = 1; round <= 3; round++) {
      const peer = await scene.gateway.peer(round);
      peer.cut();
      fill(scene.gateway, "conversation-123", 2);
      await shows(`m${3 + 2 * round};`);
    }
    expect(text()).toBe([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `Bob: m${n};`).join(""));
  });
});

/** Shows what the hook returns, and hands it out. */
let hook: ReturnType<typeof useWebSocketChat>;

function Probe(options: UseWebSocketChatOptions) {
  hook = useWebSocketChat(options);
  const { connectionState, isConnected, isAuthenticated, joinedConversations } = hook;
  return (
    <p>{[connectionState, isConnected, isAuthenticated, ...joinedConversations].map(String).join(" ")}</p>
  );
}

describe("the hook", () => {
  test("connects by itself, unless told otherwise", async () => {
    alice.chat.disconnect();
    render(<Probe chat={alice.chat} autoConnect={false} />);
    await shows("disconnected false false");
    hook.connect();
    await shows("connected true true");
    hook.disconnect();
    await shows("disconnected false false");
  });

  test("says how it stands, in the seed's words", async () => {
    render(<Probe chat={alice.chat} />);
    await shows("connected true true");
    scene.gateway.on("authenticate", () => {});
    (await scene.gateway.peer(1)).cut();
    await shows("reconnecting false false");
    scene.gateway.on("authenticate", (_, peer) => peer.close(4500, "no"));
    for (const peer of scene.gateway.peers) peer.cut();
    await shows("error false false");
    expect(hook.state.connection.reason?.code).toBe(4500);
  });

  test("joins and leaves", async () => {
    render(<Probe chat={alice.chat} />);
    await shows("connected");
    hook.joinConversation("conversation-123");
    hook.joinConversation("conversation-123");
    await shows("conversation-123");
    expect(hook.joinedConversations.has("conversation-123")).toBe(true);
    hook.leaveConversation("conversation-123");
    await eventually(() => !text().includes("conversation-123"));
    expect(scene.gateway.received("join_conversation")).toHaveLength(1);
  });

  test("marks what was read, and shows how this person is seen", async () => {
    fill(scene.gateway, "conversation-123", 3);
    render(<Probe chat={alice.chat} />);
    await eventually(() => alice.unread("conversation-123") === 3);
    hook.markRead("conversation-123", 2);
    expect(alice.unread("conversation-123")).toBe(1);
    hook.setPresence("busy");
    await eventually(() => hook.myPresence === "busy");
    await eventually(() => scene.gateway.chosen.get("alice") === "busy");
  });

  test("changes messages, and opens the replies to one", async () => {
    const id = "conversation-123";
    fill(scene.gateway, id, 3, "alice");
    render(<Probe chat={alice.chat} />);
    alice.chat.open(id);
    await alice.shows(id, ["m1", "m2", "m3"]);
    hook.editMessage(id, `${id}-1`, "one");
    hook.addReaction(id, `${id}-2`, "👍");
    hook.deleteMessage(id, `${id}-3`);
    hook.sendChatMessage(id, "to it", { replyTo: `${id}-1` });
    await eventually(() => hook.state.rooms[id]?.lastChange === 3);
    const close = hook.openThread(id, `${id}-1`);
    await eventually(() => hook.state.rooms[id]?.threads[`${id}-1`]?.replies[0]?.content === "to it");
    close();
    expect(alice.contents(id)).toEqual(["one", "m2", "", "to it"]);
    expect(alice.room(id)?.messages[1]?.reactions).toEqual({ "👍": ["alice"] });
    hook.removeReaction(id, `${id}-2`, "👍");
    expect(alice.room(id)?.messages[1]?.reactions).toBeUndefined();
  });

  test("watches people for as long as a component shows them", async () => {
    scene.gateway.statuses.set("bob", "online");
    function Face({ userId }: { userId: string }) {
      const presence = usePresence(userId);
      return <p>{presence ? `${userId} is ${presence.status}` : "not known"}</p>;
    }
    let hide = () => {};
    function Faces() {
      const [isShown, setShown] = useState(true);
      hide = () => setShown(false);
      return isShown ? <Face userId="bob" /> : "nobody";
    }
    render(
      <ChatProvider chat={alice.chat}>
        <Faces />
      </ChatProvider>,
    );
    await shows("bob is online");
    hide();
    await shows("nobody");
    const named = () => scene.gateway.received("watch_presence");
    await eventually(() => named().length === 2);
    expect(named()).toMatchObject([{ userIds: ["bob"] }, { userIds: [] }]);
    expect(alice.chat.getSnapshot().presence).toEqual({});
  });

  test("tells who types, in what was joined", async () => {
    const heard: string[] = [];
    render(
      <Probe
        chat={alice.chat}
        onUserTyping={({ conversationId, userName }) => heard.push(`${userName} types in ${conversationId}`)}
        onUserStoppedTyping={({ userId }) => heard.push(`${userId} stopped`)}
      />,
    );
    await shows("connected");
    hook.joinConversation("conversation-123");
    await shows("conversation-123");
    const peer = await scene.gateway.peer(1);
    peer.say({ type: "user_typing", conversationId: "conversation-123", userId: "bob", userName: "Bob" });
    peer.say({ type: "user_stopped_typing", conversationId: "conversation-123", userId: "bob" });
    await eventually(() => heard.length === 2);
    expect(heard).toEqual(["Bob types in conversation-123", "bob stopped"]);
  });

  test("whoever leaves and joins again is given the messages again", async () => {
    fill(scene.gateway, "conversation-123", 2);
    const given: number[] = [];
    render(<Probe chat={alice.chat} onNewMessage={({ seq }) => given.push(seq)} />);
    await shows("connected");
    hook.joinConversation("conversation-123");
    await eventually(() => given.length === 2);
    hook.leaveConversation("conversation-123");
    hook.joinConversation("conversation-123");
    await eventually(() => given.length === 4);
    expect(given).toEqual([1, 2, 1, 2]);
  });

  test("leaves what it joined when its component goes", async () => {
    render(<Probe chat={alice.chat} />);
    await shows("connected");
    hook.joinConversation("conversation-123");
    await shows("conversation-123");
    unmount();
    await eventually(() => scene.gateway.received("leave_conversation").length === 1);
  });

  test("uses the configured chat where there is no provider", async () => {
    const chat = configureChat({ url: scene.gateway.url, getToken: () => "bob", storage: false });
    render(<Probe />);
    await shows("connected true true");
    expect(hook.chat).toBe(chat);
    expect(hook.state.me?.userId).toBe("bob");
    chat.dispose();
  });

  test("is rendered on a server, where there is no address, no storage and no connection", () => {
    const chat = configureChat({ getToken: () => "bob" });
    expect(renderToString(<SeedPage />)).toContain("messages");
    expect(() => chat.connect()).toThrow(TypeError);
    render(null);
  });

  test("a part of the state is followed without rendering for the rest", async () => {
    let renders = 0;
    function Unread() {
      renders++;
      return (
        <p>unread {useChatState(({ conversations }) => conversations.items[0]?.unreadCount, alice.chat)}</p>
      );
    }
    render(<Unread />);
    await shows("unread 0");
    const before = renders;
    alice.chat.setDraft("conversation-123", "something else");
    alice.chat.open("conversation-123");
    await eventually(() => alice.room("conversation-123")?.status === "joined");
    expect(renders).toBe(before);
    scene.gateway.speak("conversation-123", "bob", "one");
    await shows("unread 1");
  });
});
