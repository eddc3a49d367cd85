import type { PersonPresence } from "../../lib/index.ts";

type Status = PersonPresence["status"] | "invisible";

const LOOKS: Record<Status, string> = {
  online: "bg-leaf",
  // Told apart by shape as well: a ring, and a bar.
  away: "border-[0.1875rem] border-earth bg-surface",
  busy: "grid place-items-center bg-danger before:h-0.5 before:w-1.5 before:rounded-full before:bg-surface",
  offline: "border-2 border-line-strong bg-surface",
  invisible: "border-2 border-line-strong border-dotted bg-surface",
};

/** Whether somebody is here, as a mark of 12 pixels. What it says is written beside it, or hidden for screen readers. */
export function Dot({ status, className = "" }: { status: Status; className?: string }) {
  return <span aria-hidden="true" className={`size-3 shrink-0 rounded-full ${LOOKS[status]} ${className}`} />;
}
