/** The conversations that are open: joined, resumed, their holes filled, their older messages loaded, who types there. */
import { type Backoff, delayOf } from "./backoff.ts";
import type { Context } from "./context.ts";
import { ChatError, failureOf } from "./errors.ts";
import { createExcerpts, joinWindows } from "./excerpts.ts";
import type {
  Error as ErrorFrame,
  JoinedConversation,
  Message,
  MessageUpdated,
  Resync,
  UserTyping,
} from "./frames.ts";
import { createHoles, LARGEST_HOLE } from "./holes.ts";
import { newest, replaced } from "./message.ts";
import { newlyOpened, type Opened } from "./opened.ts";
import { createRefetch, endOf, toldOf } from "./refetch.ts";
import { NO_DRAFTS, roomOf, withRoom } from "./state.ts";
import {
  add,
  EMPTY,
  hasOlder,
  holeIn,
  isHeld,
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
/** More changes than this of messages that are not held are hardly made while a page is on its way. */
const CHANGED = 500;

export interface RoomsOptions {
  /** Hears of every message that came, from wherever; many at a time after a join. */
  onMessages: (messages: readonly Message[]) => void;
  /** Messages as this person is to see them. */
  shown: (conversationId: string, messages: readonly Message[]) => readonly Message[];
}

export interface Rooms {
  open(conversationId: string): () => void;
  loadOlder(conversationId: string): Promise<void>;
  openAt(conversationId: string, seq: number): Promise<boolean>;
  loadNewer(conversationId: string): Promise<void>;
  backToLive(conversationId: string): void;
  connected(): void;
  disconnected(): void;
  /** What was seen is of another history; before `connected`. */
  forgetAll(): void;
  joined(frame: JoinedConversation): void;
  /** An error frame with this `requestId`; returns whether it answers a join. */
  refused(frame: ErrorFrame): boolean;
  /** Returns whether the conversation is live here: all others are not shown. */
  message(message: Message): boolean;
  /** The same for one that is this person's, and was not told of by a `new_message` yet. */
  stored(message: Message): boolean;
  changed(frame: MessageUpdated): void;
  /** What `shown` says of it is another thing now. */
  showAgain(conversationId: string): void;
  /** The answer to a ping with this `requestId`. */
  ponged(requestId: string): void;
  resync(frame: Resync): void;
  /** The gateway holds more than this client said. Returns whether the conversation is live here. */
  behind(conversationId: string, head: number): boolean;
  /** The same for changes. */
  changesBehind(conversationId: string, change: number): void;
  typing(frame: UserTyping): void;
  stoppedTyping(conversationId: string, userId: string): void;
  /** This person is in it no more. */
  gone(conversationId: string, reason: GoneReason): void;
  /** This person is in it (again). */
  back(conversationId: string): void;
  /** The last seq held of each live conversation. */
  heads(): Record<string, number>;
  /** The last change known of each. */
  changes(): Record<string, number>;
  dispose(): void;
}

export function createRooms(context: Context, { onMessages, shown }: RoomsOptions): Rooms {
  const { store, rest, outbox } = context;
  const rooms = new Map<string, Opened>();
  const typists = createOthersTyping(stoppedTyping);
  const holes = createHoles(context, { accept, startOver, onGone: gone });
  const refetch = createRefetch(context, refresh);
  const excerpts = createExcerpts(context, { publish, current });
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
    joinWindows(room);
    const { timeline, excerpt } = room;
    show(room.id, {
      status: statusOf(room),
      messages: shown(room.id, timeline.messages),
      excerpt: excerpt && { ...excerpt, messages: shown(room.id, excerpt.messages) },
      lastChange: room.knownChange,
      isLoaded: timeline.base !== null || excerpt !== null,
      hasOlder: excerpt ? excerpt.hasOlder : hasOlder(timeline),
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
    excerpts.leave(room);
    publish(room);
  }

  /** Nothing comes any more, until the next join. */
  function quiet(room: Opened): void {
    stopTimers(room);
    room.joining = null;
    room.replay = null;
    room.isLive = false;
    endOf(room);
    for (const { userId } of roomOf(store.get(), room.id).typing) typists.stopped(room.id, userId);
    show(room.id, { typing: [] });
    // What is stored, and not seen here, comes with the next join.
    for (const entry of outbox.of(room.id))
      if (entry.status === "sent" && room.holders === 0) outbox.remove(entry.tempId);
  }

  function stopTimers(room: Opened): void {
    clearTimeout(room.rejoin);
    clearTimeout(room.refetch);
    holes.stop(room);
  }

  function restore(room: Opened): Promise<void> {
    if (room.restored) return room.restored;
    let restoring: Promise<void> | null = null;
    restoring = (async () => {
      const { messages: kept, lastChange } = await (await context.storage).messages(room.id);
      const first = kept[0];
      if (!first || room.timeline.base !== null || room.restored !== restoring) return;
      room.knownChange = lastChange;
      room.toldChange = lastChange;
      room.timeline = add(startAfter(first.seq - 1), kept);
      room.told = lastOf(room.timeline) ?? 0;
      publish(room);
    })();
    room.restored = restoring;
    return restoring;
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
      ...(afterSeq !== null && { afterSeq, afterChange: room.knownChange }),
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
      forget(room);
      void context.storage.then((storage) => storage.forgetMessages(room.id));
      join(room);
      return;
    }
    room.isLive = true;
    if (frame.lastChange !== undefined) settle(room, frame.lastChange);
    const first = frame.firstSeq ?? frame.lastSeq + 1;
    if (afterSeq === null) startOver(room, startAfter(first - 1));
    else if (first - 1 - afterSeq > LARGEST_HOLE) startOver(room, startAfter(first - 1));
    room.timeline = knowHead(room.timeline, frame.lastSeq);
    if (frame.firstSeq === null) accept(room, [], true);
    else room.replay = { until: frame.lastSeq, messages: [] };
  }

  /** The changes up to this one follow; the answer to a ping comes after them. */
  function settle(room: Opened, lastChange: number): void {
    const requestId = `settled-${++requests}`;
    if (!context.send({ type: "ping", requestId })) return;
    room.settling = requestId;
    toldOf(room, lastChange);
  }

  function ponged(requestId: string): void {
    for (const room of rooms.values())
      if (room.settling === requestId) {
        room.settling = null;
        toldOf(room, room.toldChange);
        publish(room);
      }
  }

  /** Nothing of what was seen is so any more. */
  function forget(room: Opened): void {
    startOver(room, EMPTY);
    excerpts.leave(room);
    room.told = 0;
    room.knownChange = 0;
    room.toldChange = 0;
    room.changed.clear();
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
      room.timeline = add(room.timeline, current(room, messages));
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

  function changed({ message }: MessageUpdated): void {
    const room = rooms.get(message.conversationId);
    if (!room) return;
    take(room, message);
    if (!isHeld(room.timeline, message)) remember(room, message);
    // An answer to somebody who has not joined says nothing about the changes before it.
    if (room.isLive) toldOf(room, message.changeSeq ?? 0);
    publish(room);
  }

  /** A message as it is now, wherever it is held. */
  function take(room: Opened, message: Message): void {
    const { excerpt } = room;
    room.timeline = replace(room.timeline, message);
    if (excerpt) room.excerpt = { ...excerpt, messages: replaced(excerpt.messages, message) };
  }

  function remember(room: Opened, message: Message): void {
    const before = room.changed.get(message.id);
    room.changed.delete(message.id);
    room.changed.set(message.id, before ? newest(before, message) : message);
    for (const id of room.changed.keys()) if (room.changed.size > CHANGED) room.changed.delete(id);
  }

  /** Messages from somewhere else, with the changes that came before them. */
  function current(room: Opened, messages: readonly Message[]): readonly Message[] {
    if (!room.changed.size) return messages;
    return messages.map((message) => {
      const known = room.changed.get(message.id);
      return known ? newest(message, known) : message;
    });
  }

  function refresh(room: Opened, messages: readonly Message[]): void {
    for (const message of messages) take(room, message);
    publish(room);
  }

  function changesBehind(conversationId: string, change: number): void {
    const room = rooms.get(conversationId);
    // The gateway has noticed too, and may send them in a moment.
    if (room?.isLive && room.settling === null && room.knownChange < change)
      refetch.doubt(room, change, PATIENCE);
  }

  // ---------------------------------------------------------------------------------------------------- holes

  function resync({ conversationId, fromSeq, lastChange }: Resync): void {
    const room = rooms.get(conversationId);
    if (!room?.isLive) return;
    if (lastChange !== undefined) refetch.lost(room, lastChange);
    else {
      room.timeline = knowHead(room.timeline, fromSeq);
      holes.look(room, 0);
    }
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
    if (!roomOf(store.get(), room.id).hasOlder) return;
    show(room.id, { isLoadingOlder: true });
    if (room.excerpt) return excerpts.loadOlder(room);
    if (base === null) return;
    const page = await rest.messages(room.id, { beforeSeq: base + 1, limit: context.pageSize });
    if (room.timeline.base !== base) return; // the window is another one by now
    room.timeline = prepend(room.timeline, current(room, page.items), page.hasMore);
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
    const known = roomOf(store.get(), conversationId).gone;
    // A call may find that it is gone before a frame tells why.
    const isNews = known === null || (known === "not_found" && reason !== known);
    if (isNews && (reason === "left" || reason === "deleted")) forgetDrafts(conversationId);
    if (isNews && known) show(conversationId, { gone: reason });
    if (known) return;
    const room = rooms.get(conversationId);
    store.batch(() => {
      if (room) {
        room.timeline = EMPTY;
        excerpts.leave(room);
        room.told = 0;
        room.knownChange = 0;
        room.changed.clear();
        quiet(room);
      }
      outbox.refuseAll(conversationId, notAMember);
      const members = { items: [], isLoaded: false, isLoading: false, hasMore: false };
      const pins = { items: [], isLoaded: false };
      const nothing = { pins, messages: [], excerpt: null, isLoaded: false, hasOlder: false, members };
      show(conversationId, { gone: reason, status: "gone", ...nothing });
      void context.storage.then((storage) => storage.forgetConversation(conversationId));
      context.emit({ type: "gone", conversationId, reason });
    });
  }

  /** Not those of somebody who was removed: they may be brought back, and finish them. */
  function forgetDrafts(conversationId: string): void {
    show(conversationId, NO_DRAFTS);
    void context.storage.then((storage) => storage.keepDrafts(conversationId, NO_DRAFTS));
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
    openAt: (id, seq) => excerpts.openAt(roomFor(id), seq),
    loadNewer(id) {
      const room = roomFor(id);
      room.newer ??= excerpts.loadNewer(room).finally(() => {
        room.newer = null;
      });
      return room.newer;
    },
    backToLive: (id) => excerpts.leave(roomFor(id)),
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
    forgetAll() {
      for (const room of rooms.values()) {
        room.restored = Promise.resolve(); // what the device kept is of the same history
        forget(room);
        publish(room);
      }
    },
    joined,
    refused,
    message,
    stored,
    changed,
    showAgain(conversationId) {
      const room = rooms.get(conversationId);
      if (room) publish(room);
    },
    ponged,
    resync,
    behind,
    changesBehind,
    typing,
    stoppedTyping,
    gone,
    back,
    heads() {
      const live = [...rooms.values()].filter((room) => room.isLive && !room.replay);
      return Object.fromEntries(live.map((room) => [room.id, lastOf(room.timeline) ?? 0]));
    },
    changes() {
      const live = [...rooms.values()].filter(({ isLive, settling }) => isLive && settling === null);
      return Object.fromEntries(live.map((room) => [room.id, room.knownChange]));
    },
    dispose() {
      isDisposed = true;
      for (const room of rooms.values()) {
        stopTimers(room);
        endOf(room);
      }
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
