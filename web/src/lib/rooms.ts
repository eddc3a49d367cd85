/** The conversations that are open: joined, resumed, their holes filled, their older messages loaded, who types there. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { ChatError, failureOf } from "./errors.ts";
import type { Error as ErrorFrame, JoinedConversation, Message, Resync, UserTyping } from "./frames.ts";
import { createHoles, LARGEST_HOLE } from "./holes.ts";
import { newlyOpened, type Opened } from "./opened.ts";
import { conversationOf, roomOf, withConversation, withRoom } from "./state.ts";
import {
  add,
  EMPTY,
  hasOlder,
  holeIn,
  knowHead,
  lastOf,
  prepend,
  replace,
  startAfter,
  type Timeline,
} from "./timeline.ts";
import type { Failure, GoneReason, Room } from "./types.ts";
import { createOthersTyping } from "./typing.ts";

/** A hole may be a message that is still on its way. */
const PATIENCE = 400;
const RETRY: Backoff = { base: 1000, cap: 30_000 };
export interface Rooms {
  open(conversationId: string): () => void;
  loadOlder(conversationId: string): Promise<void>;
  connected(): void;
  disconnected(): void;
  joined(frame: JoinedConversation): void;
  /** An error frame with this `requestId`; returns whether it answers a join. */
  refused(frame: ErrorFrame): boolean;
  /** Returns whether the conversation is live here: all others are not shown. */
  message(message: Message): boolean;
  /** The same for one that is this person's, and was not told of by a `new_message` yet. */
  stored(message: Message): boolean;
  changed(message: Message): void;
  resync(frame: Resync): void;
  /** The gateway holds more than this client said. Returns whether the conversation is live here. */
  behind(conversationId: string, head: number): boolean;
  typing(frame: UserTyping): void;
  stoppedTyping(conversationId: string, userId: string): void;
  /** This person is in it no more. */
  gone(conversationId: string, reason: GoneReason): void;
  /** This person is in it (again). */
  back(conversationId: string): void;
  /** The last seq held of each live conversation. */
  heads(): Record<string, number>;
  dispose(): void;
}

/** `onMessages` hears of every message that came, from wherever; many at a time after a join. */
export function createRooms(context: Context, onMessages: (messages: readonly Message[]) => void): Rooms {
  const { store, rest, outbox } = context;
  const rooms = new Map<string, Opened>();
  const typists = createOthersTyping(stoppedTyping);
  const holes = createHoles(context, { accept, startOver, onGone: gone });
  let requests = 0;
  let isDisposed = false;

  function roomFor(id: string): Opened {
    const room = rooms.get(id) ?? newlyOpened(id);
    rooms.set(id, room);
    return room;
  }

  const show = (id: string, changes: Partial<Room>) => store.set(withRoom(store.get(), id, changes));

  function statusOf(room: Opened): Room["status"] {
    if (roomOf(store.get(), room.id).gone) return "gone";
    if (room.holders === 0) return "closed";
    return room.isLive ? "joined" : "joining";
  }

  function publish(room: Opened): void {
    const { timeline } = room;
    show(room.id, {
      status: statusOf(room),
      messages: timeline.messages,
      isLoaded: timeline.base !== null,
      hasOlder: hasOlder(timeline),
    });
  }

  // ---------------------------------------------------------------------------------------- opening and joining

  function open(id: string): () => void {
    const room = roomFor(id);
    room.holders++;
    if (room.holders === 1) {
      // Somebody may have been brought back, or try again.
      show(id, { gone: null });
      publish(room);
      void restore(room).then(() => join(room));
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      room.holders--;
      // Later, since whoever closes often opens again at once (a re-rendered page does).
      if (room.holders === 0) setTimeout(() => room.holders === 0 && close(room));
    };
  }

  function close(room: Opened): void {
    if (room.isLive || room.joining) context.send({ type: "leave_conversation", conversationId: room.id });
    quiet(room);
    publish(room);
  }

  /** Nothing comes any more, until the next join. */
  function quiet(room: Opened): void {
    stopTimers(room);
    room.joining = null;
    room.replay = null;
    room.isLive = false;
    for (const { userId } of roomOf(store.get(), room.id).typing) typists.stopped(room.id, userId);
    show(room.id, { typing: [] });
    // What is stored, and not seen here, comes with the next join.
    for (const entry of outbox.of(room.id))
      if (entry.status === "sent" && room.holders === 0) outbox.remove(entry.tempId);
  }

  function stopTimers(room: Opened): void {
    clearTimeout(room.rejoin);
    holes.stop(room);
  }

  function restore(room: Opened): Promise<void> {
    room.restored ??= (async () => {
      const kept = await (await context.storage).messages(room.id);
      const first = kept[0];
      if (!first || room.timeline.base !== null) return;
      room.timeline = add(startAfter(first.seq - 1), kept);
      room.told = lastOf(room.timeline) ?? 0;
      publish(room);
    })();
    return room.restored;
  }

  function join(room: Opened): void {
    if (isDisposed || room.holders === 0 || room.isLive || room.joining || !context.isConnected()) return;
    const requestId = `join-${++requests}`;
    const afterSeq = lastOf(room.timeline);
    clearTimeout(room.rejoin);
    const isSent = context.send({
      type: "join_conversation",
      conversationId: room.id,
      limit: context.pageSize,
      // Of what is held the gateway tells what has changed since.
      ...(afterSeq !== null && {
        afterSeq,
        afterChange: conversationOf(store.get(), room.id)?.lastChange ?? 0,
      }),
      requestId,
    });
    if (isSent) room.joining = { requestId, afterSeq };
  }

  function joined(frame: JoinedConversation): void {
    const room = rooms.get(frame.conversationId);
    if (!room?.joining || room.joining.requestId !== frame.requestId) return;
    const { afterSeq } = room.joining;
    room.joining = null;
    room.failures = 0;
    if (afterSeq !== null && frame.lastSeq < afterSeq) {
      // The gateway has less than what was seen: its history is another one now.
      startOver(room, EMPTY);
      room.told = 0;
      void context.storage.then((storage) => storage.forgetMessages(room.id));
      join(room);
      return;
    }
    room.isLive = true;
    const first = frame.firstSeq ?? frame.lastSeq + 1;
    const isAnew = afterSeq === null || first - 1 - afterSeq > LARGEST_HOLE;
    if (isAnew) startOver(room, startAfter(first - 1));
    room.timeline = knowHead(room.timeline, frame.lastSeq);
    // What is held already is told of change by change, and what follows these may be lost on the way.
    const lastChange = isAnew ? (frame.lastChange ?? 0) : 0;
    if (frame.firstSeq === null) {
      accept(room, [], true);
      knowChanges(room.id, lastChange);
    } else room.replay = { until: frame.lastSeq, messages: [], lastChange };
  }

  /** All changes up to this one are in what is held. */
  function knowChanges(id: string, lastChange: number): void {
    const known = conversationOf(store.get(), id)?.lastChange ?? 0;
    if (lastChange > known) store.set(withConversation(store.get(), id, { lastChange }));
  }

  /** Another window. What was sent and has not been seen is not waited for. */
  function startOver(room: Opened, timeline: Timeline): void {
    room.timeline = timeline;
    for (const entry of outbox.of(room.id)) if (entry.status === "sent") outbox.remove(entry.tempId);
  }

  function refused(frame: ErrorFrame): boolean {
    const room = [...rooms.values()].find(({ joining }) => joining && joining.requestId === frame.requestId);
    if (!room) return false;
    room.joining = null;
    if (frame.code === "NOT_A_MEMBER") gone(room.id, "not_found");
    else room.rejoin = setTimeout(() => join(room), frame.retryAfterMs ?? delayOf(room.failures++, RETRY));
    return true;
  }

  // ------------------------------------------------------------------------------------------------- messages

  function message(message: Message): boolean {
    const room = rooms.get(message.conversationId);
    if (!room?.isLive) return false;
    const { replay } = room;
    // One's own may be there since it was acknowledged; the gateway's copy says more.
    if (message.tempId) room.timeline = replace(room.timeline, message);
    if (!replay) accept(room, [message], false);
    else {
      replay.messages.push(message);
      if (message.seq >= replay.until) {
        room.replay = null;
        accept(room, replay.messages, true);
        knowChanges(room.id, replay.lastChange);
      }
    }
    return true;
  }

  function stored(message: Message): boolean {
    const room = rooms.get(message.conversationId);
    if (!room?.isLive) return false;
    // A replay is not complete because of it.
    if (room.replay) room.replay.messages.push(message);
    else accept(room, [message], false);
    return true;
  }

  function accept(room: Opened, messages: readonly Message[], isReplay: boolean): void {
    store.batch(() => {
      onMessages(messages);
      room.timeline = add(room.timeline, messages);
      const held = room.timeline.messages;
      const fresh = held.slice(held.findLastIndex(({ seq }) => seq <= room.told) + 1);
      for (const message of fresh) {
        if (message.tempId) outbox.remove(message.tempId);
        stoppedTyping(room.id, message.senderId);
      }
      publish(room);
      room.told = Math.max(room.told, lastOf(room.timeline) ?? 0);
      for (const message of fresh) context.emit({ type: "message", message, isReplay });
    });
    if (holeIn(room.timeline)) holes.look(room, PATIENCE);
  }

  function changed(message: Message): void {
    const room = rooms.get(message.conversationId);
    if (!room) return;
    room.timeline = replace(room.timeline, message);
    publish(room);
    if (room.isLive) knowChanges(room.id, message.changeSeq ?? 0);
  }

  // ---------------------------------------------------------------------------------------------------- holes

  function resync({ conversationId, fromSeq, lastChange }: Resync): void {
    const room = rooms.get(conversationId);
    if (!room?.isLive) return;
    if (lastChange !== undefined) {
      // More has changed than can be told: everything that is held may be out of date.
      room.isLive = false;
      room.replay = null;
      startOver(room, EMPTY);
      void context.storage.then((storage) => storage.forgetMessages(room.id));
      join(room);
      return;
    }
    room.timeline = knowHead(room.timeline, fromSeq);
    holes.look(room, 0);
  }

  function behind(conversationId: string, head: number): boolean {
    const room = rooms.get(conversationId);
    if (!room?.isLive) return false;
    room.timeline = knowHead(room.timeline, head);
    // The gateway has noticed too, and may send them in a moment.
    if (holeIn(room.timeline)) holes.look(room, PATIENCE);
    return true;
  }

  function loadOlder(conversationId: string): Promise<void> {
    const room = roomFor(conversationId);
    room.older ??= fetchOlder(room).finally(() => {
      room.older = null;
      show(room.id, { isLoadingOlder: false });
    });
    return room.older;
  }

  async function fetchOlder(room: Opened): Promise<void> {
    const { base } = room.timeline;
    if (base === null || base === 0) return;
    show(room.id, { isLoadingOlder: true });
    const page = await rest.messages(room.id, { beforeSeq: base + 1, limit: context.pageSize });
    if (room.timeline.base !== base) return; // the window is another one by now
    room.timeline = prepend(room.timeline, page.items, page.hasMore);
    store.batch(() => {
      show(room.id, { isLoadingOlder: false });
      publish(room);
    });
  }

  // --------------------------------------------------------------------------------------------------- typing

  function typing({ conversationId, userId, userName }: UserTyping): void {
    if (!rooms.get(conversationId)?.isLive) return;
    typists.started(conversationId, userId);
    const others = roomOf(store.get(), conversationId).typing.filter((typist) => typist.userId !== userId);
    show(conversationId, { typing: [...others, { userId, userName }] });
    context.emit({ type: "typing", conversationId, userId, userName });
  }

  function stoppedTyping(conversationId: string, userId: string): void {
    typists.stopped(conversationId, userId);
    const { typing } = roomOf(store.get(), conversationId);
    const others = typing.filter((typist) => typist.userId !== userId);
    if (others.length === typing.length) return;
    show(conversationId, { typing: others });
    context.emit({ type: "stopped_typing", conversationId, userId });
  }

  // ----------------------------------------------------------------------------------------------- coming, going

  function gone(conversationId: string, reason: GoneReason): void {
    if (roomOf(store.get(), conversationId).gone) return;
    const room = rooms.get(conversationId);
    store.batch(() => {
      if (room) {
        room.timeline = EMPTY;
        room.told = 0;
        quiet(room);
      }
      outbox.refuseAll(conversationId, notAMember);
      const members = { items: [], isLoaded: false, isLoading: false, hasMore: false };
      const nothing = { messages: [], isLoaded: false, hasOlder: false, members };
      show(conversationId, { gone: reason, status: "gone", ...nothing });
      void context.storage.then((storage) => storage.forgetConversation(conversationId));
      context.emit({ type: "gone", conversationId, reason });
    });
  }

  function back(conversationId: string): void {
    const room = rooms.get(conversationId);
    if (!roomOf(store.get(), conversationId).gone) return;
    show(conversationId, { gone: null, status: "closed" });
    if (!room) return;
    publish(room);
    join(room);
  }

  return {
    open,
    loadOlder,
    connected() {
      for (const room of rooms.values()) void restore(room).then(() => join(room));
    },
    disconnected() {
      store.batch(() => {
        for (const room of rooms.values()) {
          quiet(room);
          publish(room);
        }
      });
    },
    joined,
    refused,
    message,
    stored,
    changed,
    resync,
    behind,
    typing,
    stoppedTyping,
    gone,
    back,
    heads() {
      const live = [...rooms.values()].filter((room) => room.isLive && !room.replay);
      return Object.fromEntries(live.map((room) => [room.id, lastOf(room.timeline) ?? 0]));
    },
    dispose() {
      isDisposed = true;
      for (const room of rooms.values()) stopTimers(room);
      typists.forget();
    },
  };
}

const notAMember: Failure = failureOf(
  new ChatError({
    code: "NOT_A_MEMBER",
    message: "You are not in this conversation any more.",
    retryable: false,
  }),
);
