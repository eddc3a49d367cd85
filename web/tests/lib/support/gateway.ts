/**
 * A gateway for tests: a real WebSocket and HTTP server on a free port, with conversations in memory.
 *
 * It does what the protocol says, until a test replaces the answer to a type of frame (`on`), says something by itself
 * (`Peer.say`), or breaks a connection (`Peer.close`, `Peer.cut`, `freeze`).
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type {
  AddReaction,
  ClientFrame,
  DeleteMessage,
  EditMessage,
  Member,
  Message,
  Presence,
  RemoveReaction,
  ServerFrame,
} from "../../../src/lib/frames.ts";
import type { NotificationEntry } from "../../../src/lib/types.ts";
import { type Decided, decide, isArchived, undecided } from "./administration.ts";
import { eventually } from "./eventually.ts";

/** As it is kept: it is read at some time. */
type Told = { -readonly [Field in keyof NotificationEntry]: NotificationEntry[Field] };

type Said = ServerFrame extends infer Frame
  ? Frame extends unknown
    ? Omit<Frame, "timestamp">
    : never
  : never;
type ChangeFrame = EditMessage | DeleteMessage | AddReaction | RemoveReaction;
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
  decided: Decided;
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
  const told: Told[] = [];
  let refuseRest:
    | ((call: Call) => { status: number; code?: string; headers?: Record<string, string> } | null)
    | null = null;
  let held: Promise<void> | null = null;
  let resumeLimit = 1000;
  let expiresInMs: number | null = null;
  let history: string | undefined;
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
          ...(history !== undefined && { history }),
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
        const changed = Object.entries(frame.changes ?? {}).filter(([id, change]) => changeOf(id) > change);
        const changes = Object.fromEntries(changed.map(([id]) => [id, changeOf(id)]));
        peer.say({
          type: "pong",
          ...echo,
          ...(heads.length > 0 && { heads: newer }),
          ...(changed.length > 0 && { changes }),
        });
        break;
      }
      case "typing_start":
      case "typing_stop":
        break;
      case "edit_message":
      case "delete_message":
      case "add_reaction":
      case "remove_reaction":
        change(frame, peer);
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
    const { afterSeq, afterChange, limit = 50 } = frame;
    const lastChange = changeOf(room.id);
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
      ...(lastChange > 0 && { lastChange }),
      ...echo,
    });
    for (const message of replay) peer.say({ type: "new_message", message: seenBy(message, peer.userId) });
    if (afterSeq !== undefined && afterChange !== undefined) resumeChanges(room, peer, afterSeq, afterChange);
  }

  function resumeChanges(room: Room, peer: Peer, afterSeq: number, afterChange: number): void {
    const lastChange = changeOf(room.id);
    const changed = room.messages
      .filter(({ seq, changeSeq = 0 }) => seq <= afterSeq && changeSeq > afterChange)
      .sort((one, other) => (one.changeSeq ?? 0) - (other.changeSeq ?? 0));
    if (changed.length > resumeLimit)
      peer.say({ type: "resync", conversationId: room.id, fromSeq: 1, lastChange });
    else
      for (const message of changed)
        peer.say({ type: "message_updated", message: seenBy(message, peer.userId), change: "edited" });
  }

  function change(frame: ChangeFrame, peer: Peer): void {
    const { conversationId, requestId } = frame;
    const message = changed(frame, peer.userId);
    for (const other of peers) {
      const echo = other === peer && requestId !== undefined ? { requestId } : {};
      if (other.isOpen && (other === peer || other.joined.has(conversationId)))
        other.say({
          type: "message_updated",
          message: seenBy(message, other.userId),
          change: message.isDeleted ? "deleted" : "edited",
          ...echo,
        });
    }
  }

  /** Stored, and told to nobody. */
  function changed(frame: ChangeFrame, userId: string): Message {
    const room = rooms.get(frame.conversationId);
    const at = room?.messages.findIndex(({ id }) => id === frame.messageId) ?? -1;
    const before = room?.messages[at];
    if (!room || !before) throw new Error(`no message ${frame.messageId}`);
    const { reactions } = before;
    const next: Message = { ...before, changeSeq: changeOf(room.id) + 1 };
    switch (frame.type) {
      case "edit_message":
        Object.assign(next, { content: frame.content, editedAt: now() });
        break;
      case "delete_message":
        Object.assign(next, { content: "", isDeleted: true });
        delete next.reactions;
        break;
      case "add_reaction":
      case "remove_reaction": {
        const others = (reactions?.[frame.emoji] ?? []).filter((id) => id !== userId);
        const users = frame.type === "add_reaction" ? [...others, userId] : others;
        const all = { ...reactions, [frame.emoji]: users };
        if (!users.length) delete all[frame.emoji];
        delete next.reactions;
        if (Object.keys(all).length) next.reactions = all;
        break;
      }
    }
    room.messages[at] = next;
    return next;
  }

  const changeOf = (id: string) =>
    Math.max(0, ...(rooms.get(id)?.messages ?? []).map(({ changeSeq = 0 }) => changeSeq));

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
    const { replyTo, mentions } = frame;
    Object.assign(message, { ...(replyTo && { replyTo }), ...(mentions && { mentions }) });
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
    const [, collection, id, part, member, detail] = call.path.split("/");
    if (collection !== "conversations") return elsewhere(call, collection);
    const mine = [...rooms.values()].filter((room) =>
      room.members.some(({ userId }) => userId === call.userId),
    );
    if (!id) return ok(listed(mine, call));
    const room = mine.find((candidate) => candidate.id === id);
    if (!room) return { status: 404, body: { code: "NOT_A_MEMBER", detail: "not a member" } };
    const decided = decide(room, call, part, member);
    if (decided) return ok(decided === true ? view(room, call.userId) : decided);
    if (part === "messages" && member) return ofMessage(room, call, member, detail);
    if (part === "messages") return ok(page(room, call));
    if (part === "members") return members(room, call, member);
    return ok(view(room, call.userId));
  }

  function elsewhere(call: Call, collection: string | undefined): { status: number; body?: unknown } {
    const { userId } = call;
    if (collection === "me") return ok({ userId, userName: nameOf(userId), avatar: null });
    if (collection === "users") return ok({ items: [], nextCursor: null });
    if (collection === "presence") return ok({ items: [], chosen: chosen.get(userId) ?? "online" });
    if (collection === "channels") {
      const open = [...rooms.values()].filter(({ decided }) => decided.public);
      return ok({ items: open.map(({ id }) => ({ id, name: id })), nextCursor: null });
    }
    if (collection === "search") return ok(search(call));
    if (collection === "notifications") return notices(call);
    return { status: 404, body: { code: "NOT_FOUND" } };
  }

  function listed(mine: Room[], call: Call) {
    const limit = Number(call.query.get("limit") ?? 50);
    const from = Number(call.query.get("cursor") ?? 0);
    const archived = call.query.get("archived") === "true";
    const views = mine
      .filter((room) => isArchived(room) === archived)
      .map((room) => view(room, call.userId))
      .sort((one, other) => (activityOf(one) < activityOf(other) ? 1 : -1));
    const items = views.slice(from, from + limit);
    return { items, nextCursor: from + limit < views.length ? String(from + limit) : null };
  }

  function page(room: Room, call: Call) {
    const limit = Number(call.query.get("limit") ?? 50);
    const [before, after] = [call.query.get("beforeSeq"), call.query.get("afterSeq")];
    const all = room.messages.map((message) => seenBy(message, call.userId));
    const around = call.query.get("aroundSeq");
    if (around !== null) {
      const half = Math.floor(limit / 2);
      const older = all.filter(({ seq }) => seq < Number(around));
      const newer = all.filter(({ seq }) => seq >= Number(around));
      const [hasMoreBefore, hasMoreAfter] = [older.length > half, newer.length > limit - half];
      const items = [...older.slice(-half), ...newer.slice(0, limit - half)];
      return { items, hasMore: hasMoreBefore || hasMoreAfter, hasMoreBefore, hasMoreAfter };
    }
    if (after !== null) {
      const later = all.filter(({ seq }) => seq > Number(after));
      return { items: later.slice(0, limit), hasMore: later.length > limit };
    }
    const earlier = before === null ? all : all.filter(({ seq }) => seq < Number(before));
    return { items: earlier.slice(-limit), hasMore: earlier.length > limit };
  }

  /** What everybody alike was told of: the tests look at one person. Two a page. */
  function notices({ method, body, query }: Call) {
    if (method === "POST") {
      const { conversationId } = body as { conversationId?: string };
      for (const one of told)
        if (!conversationId || one.conversationId === conversationId) one.readAt ??= now();
      return { status: 204 };
    }
    const from = Number(query.get("cursor") ?? 0);
    const items = told.slice(from, from + 2).map((one) => ({ ...one }));
    const unreadCount = told.filter(({ readAt }) => readAt === null).length;
    return ok({ items, unreadCount, nextCursor: from + 2 < told.length ? String(from + 2) : null });
  }

  /** Whole words only, two a page. */
  function search({ query, userId }: Call) {
    const found = [...rooms.values()]
      .filter(({ members }) => members.some((member) => member.userId === userId))
      .flatMap(({ messages }) => messages)
      .filter(({ content }) => content.split(" ").includes(query.get("q") ?? ""))
      .reverse();
    const from = Number(query.get("cursor") ?? 0);
    const items = found.slice(from, from + 2).map((message) => ({
      message,
      conversationId: message.conversationId,
      conversationName: rooms.get(message.conversationId)?.name ?? null,
      snippet: message.content,
      highlights: [],
    }));
    return { items, nextCursor: from + 2 < found.length ? String(from + 2) : null };
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

  function ofMessage(room: Room, call: Call, messageId: string, detail: string | undefined) {
    if (detail === "readers") return readers(room, messageId);
    if (detail === "replies") return replies(room, call, messageId);
    return ok(room.messages.find(({ id }) => id === messageId));
  }

  function replies(room: Room, call: Call, messageId: string) {
    const limit = Number(call.query.get("limit") ?? 50);
    const after = Number(call.query.get("afterSeq") ?? 0);
    const found = room.messages.filter(({ replyTo, seq }) => replyTo === messageId && seq > after);
    return ok({ items: found.slice(0, limit), hasMore: found.length > limit });
  }

  function members(room: Room, call: Call, userId: string | undefined) {
    if (call.method === "GET") {
      const limit = Number(call.query.get("limit") ?? 100);
      const from = Number(call.query.get("cursor") ?? 0);
      const query = call.query.get("query") ?? "";
      const meant = room.members.filter(({ userName }) => userName.startsWith(query));
      const next = from + limit < meant.length ? String(from + limit) : null;
      return ok({ items: meant.slice(from, from + limit), nextCursor: next });
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
    changed,
    /** Somebody does something to a message: stored and told. */
    change(userId: string, frame: ChangeFrame): Message {
      const message = changed(frame, userId);
      for (const peer of peers)
        if (peer.isOpen && peer.joined.has(frame.conversationId))
          peer.say({ type: "message_updated", message: seenBy(message, peer.userId), change: "edited" });
      return message;
    },
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
        decided: undecided(),
      };
      rooms.set(id, room);
      return room;
    },
    on(type: ClientFrame["type"], handler: Handler | null): void {
      if (handler) handlers.set(type, handler);
      else handlers.delete(type);
    },
    /** What the person of the test is told of, the newest first. */
    told,

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
    /** A backup is restored that has the first `count` messages; everybody is sent away. */
    restore(name: string, id: string, count: number): void {
      history = name;
      rooms.get(id)?.messages.splice(count);
      for (const peer of peers) peer.cut();
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
    const { pins: _, archivedSeq: __, ...decided } = room.decided;
    return {
      ...decided,
      archived: isArchived(room),
      role: room.members.find((member) => member.userId === userId)?.role ?? "member",
      id: room.id,
      type: room.type,
      name: room.name,
      createdAt: "2026-01-01T00:00:00.000Z",
      createdBy: room.members[0]?.userId ?? "",
      lastSeq,
      lastMessage: room.messages.at(-1) ?? null,
      unreadCount: Math.max(0, lastSeq - read),
      unreadMentions: room.messages.filter(({ seq, mentions }) => seq > read && mentions?.includes(userId))
        .length,
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
