/** What is known of a conversation while it is open, and of one that was. */
import type { Message } from "./frames.ts";
import { EMPTY, type Timeline } from "./timeline.ts";
import type { Excerpt } from "./types.ts";

type Timer = ReturnType<typeof setTimeout>;

/** A conversation that was opened since the chat was made. */
export interface Opened {
  readonly id: string;
  /** How many have it open. */
  holders: number;
  /** That what this device keeps was read. */
  restored: Promise<void> | null;
  timeline: Timeline;
  /** What is shown in place of the timeline, after a jump to somewhere else. */
  excerpt: Excerpt | null;
  /** So many jumps were asked for: an answer to an earlier one is none. */
  jumps: number;
  /** The join that is not answered yet, and the seq after which it asked. */
  joining: { requestId: string; afterSeq: number | null } | null;
  isLive: boolean;
  /** What a join replays, until it is complete: shown at once, not one by one. */
  replay: { until: number; messages: Message[] } | null;
  /** The newest seq that was told of as an event. */
  told: number;
  /** All changes up to this one are known, of whatever is held. */
  knownChange: number;
  /** The last change that was told; it is known once nothing before it is missing. */
  toldChange: number;
  /** The ping whose pong says that everything has come that follows the join. */
  settling: string | null;
  /** Changes up to this one were not given: what is held is being fetched again. */
  stale: number | null;
  isRefetching: boolean;
  /** The next look whether that is needed. */
  refetch: Timer | undefined;
  /** Messages that changed while they were not held, by id: a page that is on its way may be older. */
  readonly changed: Map<string, Message>;
  /** The next join. */
  rejoin: Timer | undefined;
  /** The next look at a hole. */
  look: Timer | undefined;
  isFilling: boolean;
  failures: number;
  older: Promise<void> | null;
  newer: Promise<void> | null;
}

export function newlyOpened(id: string): Opened {
  return {
    id,
    holders: 0,
    restored: null,
    timeline: EMPTY,
    excerpt: null,
    jumps: 0,
    joining: null,
    isLive: false,
    replay: null,
    told: 0,
    knownChange: 0,
    toldChange: 0,
    settling: null,
    stale: null,
    isRefetching: false,
    refetch: undefined,
    changed: new Map(),
    rejoin: undefined,
    look: undefined,
    isFilling: false,
    failures: 0,
    older: null,
    newer: null,
  };
}
