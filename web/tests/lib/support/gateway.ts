/**
 * A gateway for tests: a real WebSocket and HTTP server on a free port, with conversations in memory.
 *
 * It does what the protocol says, until a test replaces the answer to a type of frame (`on`), says something by itself
 * (`Peer.say`), or breaks a connection (`Peer.close`, `Peer.cut`, `freeze`).
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { ClientFrame, Member, Message, Presence, ServerFrame } from "../../../src/lib/frames.ts";
import { eventually } from "./eventually.ts";

type Said = ServerFrame extends infer Frame
  ? Frame extends unknown
    ? Omit<Frame, "timestamp">
    : never
  : never;
type Handler = (frame: ClientFrame, peer: Peer) => void;

export interface Peer {
  readonly received: ClientFrame[];
  readonly userId: string;
  readonly joined: Set<string>;
  say(frame: Said): void;
  close(code: number, reason?: string): void;
  /** Breaks the connection without a word. */
  cut(): void;
  readonly isOpen: boolean;
}

export interface Room {
  id: string;
  type: "direct" | "group" | "channel";
  name: string | null;
  messages: Message[];
  members: Member[];
}

export interface Call {
  method: string;
  path: string;
  query: URLSearchParams;
  body: unknown;
  userId: string;
}

export const now = () => new Date().toISOString();

export async function startGateway() {
  const rooms = new Map<string, Room>();
  const peers: Peer[] = [];
  const calls: Call[] = [];
  const handlers = new Map<string, Handler>();
  const tempIds = new Map<string, Message>();
  const statuses = new Map<string, Presence["status"]>();
  const chosen = new Map<string, "online" | "busy" | "invisible">();
  let refuseRest:
    | ((call: Call) => { status: number; code?: string; headers?: Record<string, string> } | null)
    | null = null;
  let held: Promise<void> | null = null;
  let resumeLimit = 1000;
  let expiresInMs: number | null = null;
  let isFrozen = false;

  // ------------------------------------------------------------------------------------------------ WebSocket

  function serve(socket: WebSocket): void {
    const peer: Peer & { userId: string } = {
      received: [],
      userId: "",
      joined: new Set(),
      say(frame) {
        if (!isFrozen) socket.send(JSON.stringify({ timestamp: now(), ...frame }));
      },
      close: (code, reason) => socket.close(code, reason),
      cut: () => socket.terminate(),
      get isOpen() {
        return socket.readyState === socket.OPEN;
      },
    };
    peers.push(peer);
    socket.on("message", (data) => {
      if (isFrozen) return;
      const frame: ClientFrame = JSON.parse(String(data));
      peer.received.push(frame);
      if (frame.type === "authenticate") peer.userId = userOf(frame.token);
      (handlers.get(frame.type) ?? answer)(frame, peer);
    });
  }

  function answer(frame: ClientFrame, peer: Peer): void {
    const echo = frame.requestId === undefined ? {} : { requestId: frame.requestId };
    switch (frame.type) {
      case "authenticate":
        peer.say({
          type: "authenticated",
          userId: peer.userId,
          userName: nameOf(peer.userId),
          connectionId: `connection-${peers.indexOf(peer)}`,
          heartbeatIntervalMs: 30_000,
          expiresAt: expiresInMs === null ? null : new Date(Date.now() + expiresInMs).toISOString(),
        });
        break;
      case "join_conversation":
        join(frame, peer);
        break;
      case "leave_conversation":
        peer.joined.delete(frame.conversationId);
        peer.say({ type: "left_conversation", conversationId: frame.conversationId, ...echo });
        break;
      case "send_message":
        store(frame, peer);
        break;
      case "ping": {
        const heads = Object.entries(frame.heads ?? {}).filter(([id, seq]) => headOf(id) > seq);
        const newer = Object.fromEntries(heads.map(([id]) => [id, headOf(id)]));
        peer.say({ type: "pong", ...(heads.length > 0 && { heads: newer }) });
        break;
      }
      case "typing_start":
      case "typing_stop":
        break;
      case "mark_read":
        markRead(frame, peer);
        break;
      case "watch_presence":
        for (const userId of frame.userIds) peer.say({ type: "presence", ...seen(userId), ...echo });
        break;
      case "set_presence":
        setPresence(frame, peer);
        break;
      default:
        peer.say({ type: "error", code: "UNKNOWN_TYPE", error: "not known here", ...echo });
    }
  }

  function join(frame: ClientFrame & { type: "join_conversation" }, peer: Peer): void {
    const room = rooms.get(frame.conversationId);
    const echo = frame.requestId === undefined ? {} : { requestId: frame.requestId };
    if (!room?.members.some(({ userId }) => userId === peer.userId)) {
      const { conversationId } = frame;
      peer.say({ type: "error", code: "NOT_A_MEMBER", error: "not a member", conversationId, ...echo });
      return;
    }
    const { afterSeq, limit = 50 } = frame;
    const missed = room.messages.filter(({ seq }) => seq > (afterSeq ?? 0));
    const replay = afterSeq === undefined || missed.length > resumeLimit ? missed.slice(-limit) : missed;
    const firstSeq = replay[0]?.seq ?? null;
    peer.joined.add(room.id);
    peer.say({
      type: "joined_conversation",
      conversationId: room.id,
      lastSeq: headOf(room.id),
      firstSeq,
      hasMore: firstSeq !== null && firstSeq > (afterSeq ?? 0) + 1,
      ...echo,
    });
    for (const message of replay) peer.say({ type: "new_message", message: seenBy(message, peer.userId) });
  }

  function markRead(frame: ClientFrame & { type: "mark_read" }, peer: Peer): void {
    const { conversationId, requestId } = frame;
    const member = rooms.get(conversationId)?.members.find(({ userId }) => userId === peer.userId);
    if (!member) throw new Error(`${peer.userId} is not in ${conversationId}`);
    const seq = Math.max(member.lastReadSeq, Math.min(frame.seq, headOf(conversationId)));
    const isNews = seq > member.lastReadSeq;
    member.lastReadSeq = seq;
    for (const other of peers) {
      const echo = other === peer && requestId !== undefined ? { requestId } : {};
      const isTold = isNews && (other.userId === peer.userId || other.joined.has(conversationId));
      if (other.isOpen && (other === peer || isTold))
        other.say({ type: "read_receipt", conversationId, userId: peer.userId, seq, ...echo });
    }
  }

  function setPresence({ status, requestId }: ClientFrame & { type: "set_presence" }, peer: Peer): void {
    if (status !== "away") chosen.set(peer.userId, status);
    const presence = { type: "presence" as const, ...seenBySelf(peer.userId) };
    peer.say({ ...presence, ...(requestId !== undefined && { requestId }) });
    for (const other of peers)
      if (status !== "away" && other !== peer && other.isOpen && other.userId === peer.userId)
        other.say(presence);
  }

  const seen = (userId: string) => ({ userId, status: statuses.get(userId) ?? ("offline" as const) });
  function seenBySelf(userId: string) {
    const own = chosen.get(userId) ?? "online";
    return { userId, status: own === "invisible" ? ("offline" as const) : own };
  }

  function store(frame: ClientFrame & { type: "send_message" }, peer: Peer): Message {
    const { conversationId, content = "", tempId } = frame;
    const key = `${peer.userId}/${conversationId}/${tempId}`;
    const known = tempId === undefined ? undefined : tempIds.get(key);
    const message = known ?? write(conversationId, peer.userId, content, tempId);
    if (tempId !== undefined) tempIds.set(key, message);
    peer.say({
      type: "message_sent",
      messageId: message.id,
      conversationId,
      seq: message.seq,
      createdAt: message.createdAt,
      duplicate: known !== undefined,
      ...(tempId !== undefined && { tempId }),
    });
    if (!known) publish(message);
    return message;
  }

  function publish(message: Message): void {
    for (const peer of peers)
      if (peer.isOpen && peer.joined.has(message.conversationId))
        peer.say({ type: "new_message", message: seenBy(message, peer.userId) });
  }

  // --------------------------------------------------------------------------------------------------- history

  const headOf = (id: string) => rooms.get(id)?.messages.length ?? 0;

  /** Stored, and told to nobody. */
  function write(conversationId: string, senderId: string, content: string, tempId?: string): Message {
    const room = rooms.get(conversationId);
    if (!room) throw new Error(`no room ${conversationId}`);
    const seq = room.messages.length + 1;
    const message: Message = {
      id: `${conversationId}-${seq}`,
      conversationId,
      seq,
      senderId,
      senderName: nameOf(senderId),
      senderAvatar: null,
      content,
      createdAt: now(),
      ...(tempId !== undefined && { tempId }),
    };
    room.messages.push(message);
    return message;
  }

  // ------------------------------------------------------------------------------------------------------ REST

  async function rest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://test");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const call: Call = {
      method: request.method ?? "GET",
      path: url.pathname.replace("/api", ""),
      query: url.searchParams,
      body: text ? JSON.parse(text) : null,
      userId: userOf((request.headers.authorization ?? "").replace("Bearer ", "")),
    };
    calls.push(call);
    const refusal = refuseRest?.(call);
    const { status, body } = refusal
      ? { status: refusal.status, body: { code: refusal.code, detail: "refused" } }
      : found(call);
    await held;
    response.writeHead(status, { "content-type": "application/json", ...refusal?.headers });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  }

  function found(call: Call): { status: number; body?: unknown } {
    const [, collection, id, part, member] = call.path.split("/");
    if (collection === "me") return ok({ userId: call.userId, userName: nameOf(call.userId), avatar: null });
    if (collection === "users") return ok({ items: [], nextCursor: null });
    if (collection === "presence") return ok({ items: [], chosen: chosen.get(call.userId) ?? "online" });
    if (collection !== "conversations") return { status: 404, body: { code: "NOT_FOUND" } };
    const mine = [...rooms.values()].filter((room) =>
      room.members.some(({ userId }) => userId === call.userId),
    );
    if (!id) return ok(listed(mine, call));
    const room = mine.find((candidate) => candidate.id === id);
    if (!room) return { status: 404, body: { code: "NOT_A_MEMBER", detail: "not a member" } };
    if (part === "messages" && member) return readers(room, member);
    if (part === "messages") return ok(page(room, call));
    if (part === "members") return members(room, call, member);
    return ok(view(room, call.userId));
  }

  function listed(mine: Room[], call: Call) {
    const limit = Number(call.query.get("limit") ?? 50);
    const from = Number(call.query.get("cursor") ?? 0);
    const views = mine
      .map((room) => view(room, call.userId))
      .sort((one, other) => (activityOf(one) < activityOf(other) ? 1 : -1));
    const items = views.slice(from, from + limit);
    return { items, nextCursor: from + limit < views.length ? String(from + limit) : null };
  }

  function page(room: Room, call: Call) {
    const limit = Number(call.query.get("limit") ?? 50);
    const [before, after] = [call.query.get("beforeSeq"), call.query.get("afterSeq")];
    const all = room.messages.map((message) => seenBy(message, call.userId));
    if (after !== null) {
      const later = all.filter(({ seq }) => seq > Number(after));
      return { items: later.slice(0, limit), hasMore: later.length > limit };
    }
    const earlier = before === null ? all : all.filter(({ seq }) => seq < Number(before));
    return { items: earlier.slice(-limit), hasMore: earlier.length > limit };
  }

  function readers(room: Room, messageId: string) {
    const message = room.messages.find(({ id }) => id === messageId);
    if (!message) return { status: 404, body: { code: "NOT_FOUND", detail: "no such message" } };
    const { seq, senderId } = message;
    const items = room.members.filter(({ userId, lastReadSeq }) => userId !== senderId && lastReadSeq >= seq);
    return ok({
      seq,
      items: items.map(({ userId, userName, avatar }) => ({ userId, userName, avatar })),
    });
  }

  function members(room: Room, call: Call, userId: string | undefined) {
    if (call.method === "GET") {
      const limit = Number(call.query.get("limit") ?? 100);
      const from = Number(call.query.get("cursor") ?? 0);
      const next = from + limit < room.members.length ? String(from + limit) : null;
      return ok({ items: room.members.slice(from, from + limit), nextCursor: next });
    }
    if (call.method === "DELETE") {
      room.members = room.members.filter((member) => member.userId !== userId);
      return { status: 204 };
    }
    const { userIds } = call.body as { userIds: string[] };
    room.members.push(...userIds.map(memberOf));
    return ok(view(room, call.userId));
  }

  // ----------------------------------------------------------------------------------------------- the machine

  const server = createServer((request, response) => void rest(request, response));
  const sockets = new WebSocketServer({ server, path: "/ws/chat" });
  sockets.on("connection", serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `ws://127.0.0.1:${port}/ws/chat`,
    peers,
    calls,
    rooms,
    /** How people are seen; whoever is not here is offline. */
    statuses,
    /** How people want to be seen. */
    chosen,
    write,
    store,
    publish,
    answer,
    /** A message of somebody, stored and told. */
    speak(conversationId: string, senderId: string, content: string): Message {
      const message = write(conversationId, senderId, content);
      publish(message);
      return message;
    },
    addRoom(id: string, userIds: string[], type: Room["type"] = "group"): Room {
      const room: Room = {
        id,
        type,
        name: type === "direct" ? null : id,
        messages: [],
        members: userIds.map(memberOf),
      };
      rooms.set(id, room);
      return room;
    },
    on(type: ClientFrame["type"], handler: Handler | null): void {
      if (handler) handlers.set(type, handler);
      else handlers.delete(type);
    },
    refuseRest(refuse: typeof refuseRest): void {
      refuseRest = refuse;
    },
    /** REST answers, as they are when they are asked for, come only when the returned function is called. */
    holdRest(): () => void {
      let release = () => {};
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        held = null;
        release();
      };
    },
    set resumeLimit(limit: number) {
      resumeLimit = limit;
    },
    set expiresInMs(ms: number | null) {
      expiresInMs = ms;
    },
    /** Sockets stay open, and nothing passes in either direction. */
    freeze(isIt: boolean): void {
      isFrozen = isIt;
    },
    /** The `count`th connection, once it is authenticated. */
    peer(count = 1): Promise<Peer> {
      const found = () => (peers[count - 1]?.userId ? peers[count - 1] : null);
      return eventually(found, `connection ${count}`);
    },
    received(type: ClientFrame["type"], peer?: Peer): ClientFrame[] {
      const from = peer ? [peer] : peers;
      return from.flatMap((one) => one.received.filter((frame) => frame.type === type));
    },
    async stop(): Promise<void> {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function view(room: Room, userId: string) {
    const lastSeq = room.messages.length;
    const read = room.members.find((member) => member.userId === userId)?.lastReadSeq ?? 0;
    return {
      id: room.id,
      type: room.type,
      name: room.name,
      createdAt: "2026-01-01T00:00:00.000Z",
      createdBy: room.members[0]?.userId ?? "",
      lastSeq,
      lastMessage: room.messages.at(-1) ?? null,
      unreadCount: Math.max(0, lastSeq - read),
      members: room.members.slice(0, 10),
      memberCount: room.members.length,
    };
  }
}

export type TestGateway = Awaited<ReturnType<typeof startGateway>>;

const ok = (body: unknown) => ({ status: 200, body });
/** Tokens of tests are the user's id, and whatever follows a colon. */
const userOf = (token: string) => token.split(":")[0] ?? "";
const nameOf = (userId: string) => userId.charAt(0).toUpperCase() + userId.slice(1);
const activityOf = (view: { lastMessage: Message | null; createdAt: string }) =>
  view.lastMessage?.createdAt ?? view.createdAt;

export function memberOf(userId: string): Member {
  const joinedAt = "2026-01-01T00:00:00.000Z";
  return { userId, userName: nameOf(userId), avatar: null, role: "member", lastReadSeq: 0, joinedAt };
}

function seenBy(message: Message, userId: string): Message {
  if (message.senderId === userId) return message;
  const { tempId: _, ...common } = message;
  return common;
}
