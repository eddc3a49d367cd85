import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";
import type { ServerFrame } from "../../src/lib/frames.ts";
import { createSocket, type Socket, type SocketOptions, type Timing } from "../../src/lib/socket.ts";
import type { Surroundings } from "../../src/lib/surroundings.ts";
import { createTokens } from "../../src/lib/tokens.ts";
import { type Connection, TokenUnavailable } from "../../src/lib/types.ts";
import { eventually } from "./support/eventually.ts";
import { startGateway, type TestGateway } from "./support/gateway.ts";

Object.assign(globalThis, { WebSocket: NodeWebSocket });

let gateway: TestGateway;
const sockets: Socket[] = [];

beforeEach(async () => {
  gateway = await startGateway();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.disconnect();
  await gateway.stop();
});

const FAST: Partial<Timing> = { reconnect: { base: 20, cap: 100 }, connectTimeout: 1000 };

function connect(
  options: Partial<SocketOptions> & { getToken?: (why: { refused: boolean }) => string } = {},
) {
  const frames: ServerFrame[] = [];
  const states: Connection[] = [];
  const { getToken = () => "alice", timing, ...more } = options;
  const socket = createSocket({
    url: gateway.url,
    tokens: createTokens(getToken),
    onFrame: (frame) => frames.push(frame),
    onConnection: (connection) => states.push(connection),
    timing: { ...FAST, ...timing },
    ...more,
  });
  sockets.push(socket);
  socket.connect();
  const becomes = (status: Connection["status"]) =>
    eventually(() => socket.connection.status === status, `status ${status}`);
  return { socket, frames, states, becomes };
}

/** A page whose network and visibility the test decides. */
function surroundings() {
  const watchers = new Set<Parameters<Surroundings["watch"]>[0]>();
  const page = {
    isOnlineNow: true,
    isOnline: () => page.isOnlineNow,
    watch(told: Parameters<Surroundings["watch"]>[0]) {
      watchers.add(told);
      return () => watchers.delete(told);
    },
    beforeEnd: () => () => {},
    watchInput: () => null,
    tell(what: "online" | "offline" | "visible") {
      if (what !== "visible") page.isOnlineNow = what === "online";
      for (const told of watchers) told(what);
    },
    get watcherCount() {
      return watchers.size;
    },
  };
  return page;
}

describe("connecting", () => {
  test("the first frame authenticates, and never the address", async () => {
    const { becomes, states } = connect();
    await becomes("connected");
    expect(gateway.peers[0]?.received[0]).toMatchObject({ type: "authenticate", token: "alice" });
    expect(states.map(({ status }) => status)).toEqual(["connecting", "connected"]);
  });

  test("nothing is sent before it is authenticated, nor after it was disconnected", async () => {
    const { socket, becomes } = connect();
    expect(socket.send({ type: "ping" })).toBe(false);
    await becomes("connected");
    expect(socket.send({ type: "ping" })).toBe(true);
    socket.disconnect();
    expect(socket.send({ type: "ping" })).toBe(false);
    await eventually(() => !gateway.peers[0]?.isOpen);
  });

  test("connecting twice makes one connection", async () => {
    const { socket, becomes } = connect();
    socket.connect();
    await becomes("connected");
    socket.connect();
    await eventually(() => gateway.received("ping").length === 1); // it only looks whether it lives
    expect(gateway.peers).toHaveLength(1);
  });

  test("a gateway that accepts and says nothing is given up, and tried again", async () => {
    gateway.on("authenticate", () => {});
    const { becomes, states } = connect();
    await eventually(() => gateway.peers.length >= 2);
    expect(states.some(({ reason }) => reason?.reason === "no answer in time")).toBe(true);
    gateway.on("authenticate", null);
    await becomes("connected");
  });

  test("it comes back when the gateway returns on the same address", async () => {
    const { socket, becomes } = connect({ url: "ws://127.0.0.1:9/ws/chat" });
    await becomes("waiting");
    expect(socket.connection.retryAt).toBeGreaterThan(Date.now() - 1000);
    expect(socket.connection.reason?.code).toBe(1006);
  });
});

describe("the end of a connection", () => {
  test.each([1001, 1011, 4000, 4001, 4003, 4499])("%i reconnects", async (code) => {
    const { becomes } = connect();
    await becomes("connected");
    gateway.peers[0]?.close(code);
    await gateway.peer(2);
    await becomes("connected");
  });

  test.each([1000, 1009, 4500, 4501, 4502, 4503, 4504, 4999])("%i does not", async (code) => {
    const { socket, becomes } = connect();
    await becomes("connected");
    gateway.peers[0]?.close(code, "enough");
    await becomes("stopped");
    expect(socket.connection).toMatchObject({ retryAt: null, reason: { code, reason: "enough" } });
  });

  test("a cut reconnects", async () => {
    const { becomes, states } = connect();
    await becomes("connected");
    gateway.peers[0]?.cut();
    await gateway.peer(2);
    await becomes("connected");
    expect(states.some(({ status, reason }) => status === "waiting" && reason?.code === 1006)).toBe(true);
  });

  test("1012 is obeyed to the millisecond it asks for", async () => {
    const { socket, becomes } = connect({ random: () => 0 });
    await becomes("connected");
    const before = Date.now();
    gateway.peers[0]?.close(1012, JSON.stringify({ reconnectInMs: 200 }));
    await becomes("waiting");
    const { retryAt } = socket.connection;
    expect(retryAt).toBeGreaterThanOrEqual(before + 200);
    expect(retryAt).toBeLessThanOrEqual(Date.now() + 200);
    await gateway.peer(2);
    expect(Date.now()).toBeGreaterThanOrEqual((retryAt ?? 0) - 2);
  });

  test("1012 with a reason that is no JSON is like any other", async () => {
    const { becomes } = connect();
    await becomes("connected");
    gateway.peers[0]?.close(1012, "soon");
    await gateway.peer(2);
  });

  test("a refused token stops it, with the reason", async () => {
    gateway.on("authenticate", (_, peer) => {
      peer.say({ type: "auth_error", error: "not valid", code: "INVALID_TOKEN" });
      peer.close(4500, "authentication failed");
    });
    const { socket, becomes } = connect();
    await becomes("stopped");
    expect(socket.connection.reason).toMatchObject({ code: 4500, failure: { code: "INVALID_TOKEN" } });
    expect(gateway.peers).toHaveLength(1);
  });

  test("waits double up to their bound, and every one is jittered from zero", async () => {
    const waits: number[] = [];
    const { socket, becomes } = connect({
      url: "ws://127.0.0.1:9/ws/chat",
      timing: { reconnect: { base: 10, cap: 40 } },
      random: () => 1,
      onConnection: ({ status, retryAt }) => status === "waiting" && waits.push((retryAt ?? 0) - Date.now()),
    });
    await eventually(() => waits.length >= 5);
    socket.disconnect();
    // Looked at a little later than they were chosen, they can only be shorter.
    for (const [at, ms] of [10, 20, 40, 40, 40].entries()) expect(waits[at]).toBeLessThanOrEqual(ms);
    await becomes("stopped");
  });

  test("after a good connection, waiting starts over", async () => {
    const waits: number[] = [];
    const { becomes } = connect({
      timing: { reconnect: { base: 10, cap: 5000 }, stableAfter: 0 },
      random: () => 1,
      onConnection: ({ status, retryAt }) => status === "waiting" && waits.push((retryAt ?? 0) - Date.now()),
    });
    for (let count = 1; count <= 4; count++) {
      const peer = await gateway.peer(count);
      await becomes("connected");
      peer.cut();
      await eventually(() => waits.length === count);
    }
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(15);
  });
});

describe("heartbeat", () => {
  test("pings carry the heads", async () => {
    connect({ timing: { pingInterval: 30 }, heads: () => ({ room: 7 }) });
    await eventually(() => gateway.received("ping").length >= 2);
    expect(gateway.received("ping")[0]).toMatchObject({ heads: { room: 7 } });
  });

  test("a connection that fell silent is dropped and replaced, though nothing closes it", async () => {
    const { becomes } = connect({ timing: { pingInterval: 30, pongTimeout: 300 } });
    await becomes("connected");
    const frozen = await gateway.peer(1);
    gateway.on("ping", (_, peer) => peer !== frozen && peer.say({ type: "pong" }));
    const replacement = await gateway.peer(2);
    await becomes("connected");
    expect(replacement.isOpen).toBe(true);
  });

  test("any frame is a sign of life", async () => {
    const { becomes } = connect({ timing: { pingInterval: 30, pongTimeout: 500 } });
    await becomes("connected");
    const peer = await gateway.peer(1);
    gateway.on("ping", () => peer.say({ type: "left_conversation", conversationId: "other" }));
    await eventually(() => gateway.received("ping").length >= 25);
    expect(gateway.peers).toHaveLength(1);
  });

  test("frames of a dropped socket are not heard", async () => {
    const { frames, becomes } = connect({ timing: { pingInterval: 30, pongTimeout: 300 } });
    await becomes("connected");
    const old = await gateway.peer(1);
    gateway.on("ping", (_, peer) => peer !== old && peer.say({ type: "pong" }));
    await gateway.peer(2);
    await becomes("connected");
    if (old.isOpen) old.say({ type: "left_conversation", conversationId: "from the old one" });
    await eventually(() => gateway.received("ping", gateway.peers[1]).length >= 2);
    expect(frames.filter(({ type }) => type === "left_conversation")).toEqual([]);
  });
});

describe("the browser's network", () => {
  test("said to be offline, a frozen connection is given up soon, and tried when it is back", async () => {
    const page = surroundings();
    const { socket, becomes } = connect({ surroundings: page, timing: { doubtTimeout: 50 } });
    await becomes("connected");
    gateway.freeze(true);
    page.tell("offline");
    await becomes("offline");
    expect(socket.connection.retryAt).toBeNull();
    expect(gateway.peers).toHaveLength(1);
    gateway.freeze(false);
    page.tell("online");
    await gateway.peer(2);
    await becomes("connected");
  });

  test("said to be offline though the gateway answers, it stays connected", async () => {
    const page = surroundings();
    const { becomes, states } = connect({ surroundings: page, timing: { doubtTimeout: 2000 } });
    await becomes("connected");
    page.tell("offline");
    await eventually(() => gateway.received("ping").length === 1);
    page.tell("visible");
    await eventually(() => gateway.received("ping").length === 2);
    expect(states.at(-1)?.status).toBe("connected");
  });

  test("somebody who looks at the page again does not wait for the next attempt", async () => {
    const page = surroundings();
    const { becomes } = connect({
      surroundings: page,
      timing: { reconnect: { base: 60_000, cap: 60_000 } },
      random: () => 1,
    });
    await becomes("connected");
    gateway.peers[0]?.cut();
    await becomes("waiting");
    page.tell("visible");
    await becomes("connected");
  });

  test("nor does who asks to connect", async () => {
    const { socket, becomes } = connect({
      timing: { reconnect: { base: 60_000, cap: 60_000 } },
      random: () => 1,
    });
    await becomes("connected");
    gateway.peers[0]?.cut();
    await becomes("waiting");
    socket.connect();
    await becomes("connected");
  });

  test("once stopped, it no longer watches the page", async () => {
    const page = surroundings();
    const { socket, becomes } = connect({ surroundings: page });
    await becomes("connected");
    socket.disconnect();
    expect(page.watcherCount).toBe(0);
  });
});

describe("tokens", () => {
  test("a token is renewed in place before it expires", async () => {
    gateway.expiresInMs = 1500;
    let count = 0;
    const { becomes, states } = connect({ getToken: () => `alice:${++count}` });
    await becomes("connected");
    await eventually(() => gateway.received("authenticate").length >= 2);
    expect(gateway.peers).toHaveLength(1);
    expect(
      gateway.received("authenticate").map((frame) => frame.type === "authenticate" && frame.token),
    ).toEqual(["alice:1", "alice:2"]);
    expect(states.filter(({ status }) => status === "connected")).toHaveLength(1);
  });

  test("after 4002 another one is asked for first, and without waiting", async () => {
    const why: { refused: boolean }[] = [];
    const { becomes, states } = connect({
      getToken(reason) {
        why.push(reason);
        return `alice:${why.length}`;
      },
    });
    await becomes("connected");
    gateway.peers[0]?.close(4002, "token expired");
    const peer = await gateway.peer(2);
    await becomes("connected");
    expect(why).toEqual([{ refused: false }, { refused: true }]);
    expect(peer.received[0]).toMatchObject({ token: "alice:2" });
    expect(states.some(({ status }) => status === "waiting")).toBe(false);
  });

  test("a token that had expired is replaced once", async () => {
    gateway.on("authenticate", (frame, peer) => {
      if (frame.type === "authenticate" && frame.token === "alice:fresh") return gateway.answer(frame, peer);
      peer.say({ type: "auth_error", error: "expired", code: "TOKEN_EXPIRED" });
      peer.close(4500, "authentication failed");
    });
    const { becomes } = connect({ getToken: ({ refused }) => (refused ? "alice:fresh" : "alice:stale") });
    await becomes("connected");
    expect(gateway.peers).toHaveLength(2);
  });

  test("and not for ever", async () => {
    gateway.on("authenticate", (_, peer) => {
      peer.say({ type: "auth_error", error: "expired", code: "TOKEN_EXPIRED" });
      peer.close(4500, "authentication failed");
    });
    const { becomes } = connect();
    await becomes("stopped");
    expect(gateway.peers).toHaveLength(2);
  });

  test("without any token to be had it stops", async () => {
    const { socket, becomes } = connect({
      getToken() {
        throw new TokenUnavailable("sign in again");
      },
    });
    await becomes("stopped");
    expect(socket.connection.reason?.failure).toMatchObject({ code: "NO_TOKEN", message: "sign in again" });
  });

  test("while tokens cannot be fetched it goes on asking", async () => {
    let count = 0;
    const { becomes } = connect({
      getToken() {
        if (++count < 3) throw new Error("the token server is away");
        return "alice";
      },
    });
    await becomes("connected");
    expect(count).toBe(3);
  });
});
