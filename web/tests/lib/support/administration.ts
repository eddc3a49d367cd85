/** What is decided about a conversation of the tests' gateway: roles, who finds it, closing, pins, one's own settings. */
import type { Pin } from "../../../src/lib/types.ts";
import { type Call, now, type Room } from "./gateway.ts";

export interface Decided {
  public?: boolean;
  closedAt?: string;
  /** For everybody alike: the tests look at one person. */
  muted: boolean;
  archived: boolean;
  /** How many messages there were then. */
  archivedSeq: number;
  pins: Pin[];
}

export const undecided = (): Decided => ({ muted: false, archived: false, archivedSeq: 0, pins: [] });

/** A newer message brings it back, unless it is muted. */
export const isArchived = ({ decided, messages }: Room): boolean =>
  decided.archived && (decided.muted || messages.length <= decided.archivedSeq);

/** Carries a call out where it is one of these: true when it is answered with the conversation, else its answer. */
export function decide(room: Room, call: Call, part?: string, which?: string): true | object | null {
  const { decided } = room;
  const body = call.body as Record<string, unknown>;
  if (part === "pins") return pins(room, call, which);
  if (part === "members" && call.method === "PATCH") {
    const member = room.members.find(({ userId }) => userId === which);
    if (member) Object.assign(member, body);
    return true;
  }
  if (call.method !== "PATCH") return part === "join" ? true : null;
  const { closed, ...rest } = body;
  Object.assign(decided, rest);
  if (rest.archived === true) decided.archivedSeq = room.messages.length;
  if (closed === true) decided.closedAt = now();
  if (closed === false) delete decided.closedAt;
  return true;
}

function pins({ decided, messages }: Room, call: Call, messageId?: string): object {
  if (call.method === "GET") return { items: decided.pins, nextCursor: null };
  const others = decided.pins.filter(({ message }) => message.id !== messageId);
  const message = messages.find(({ id }) => id === messageId);
  const isPinned = call.method === "PUT" && message;
  decided.pins = isPinned ? [{ message, pinnedBy: call.userId, pinnedAt: now() }, ...others] : others;
  return {};
}
