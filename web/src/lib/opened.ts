/** What is known of a conversation while it is open, and of one that was. */
import type { Message } from "./frames.ts";
import { EMPTY, type Timeline } from "./timeline.ts";

type Timer = ReturnType<typeof setTimeout>;

/** A conversation that was opened since the chat was made. */
export interface Opened {
  readonly id: string;
  /** How many have it open. */
  holders: number;
  /** That what this device keeps was read. */
  restored: Promise<void> | null;
  timeline: Timeline;
  /** The join that is not answered yet, and the seq after which it asked. */
  joining: { requestId: string; afterSeq: number | null } | null;
  isLive: boolean;
  /** What a join replays, until it is complete: shown at once, not one by one. */
  replay: { until: number; messages: Message[]; lastChange: number } | null;
  /** The newest seq that was told of as an event. */
  told: number;
  /** The next join. */
  rejoin: Timer | undefined;
  /** The next look at a hole. */
  look: Timer | undefined;
  isFilling: boolean;
  failures: number;
  older: Promise<void> | null;
}

export function newlyOpened(id: string): Opened {
  return {
    id,
    holders: 0,
    restored: null,
    timeline: EMPTY,
    joining: null,
    isLive: false,
    replay: null,
    told: 0,
    rejoin: undefined,
    look: undefined,
    isFilling: false,
    failures: 0,
    older: null,
  };
}
