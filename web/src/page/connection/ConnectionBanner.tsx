import { CloudOff, LoaderCircle, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { texts } from "../texts/index.ts";

export type Connection =
  | { kind: "connected" }
  | { kind: "connecting"; isFirst: boolean }
  | { kind: "waiting"; until: number }
  | { kind: "offline" }
  | { kind: "ended"; reason: string | null };

const words = texts.connection;
const GRACE = 1200; // a connection that takes no longer than this needs no words

/** Says what the connection does while it is not simply there. */
export function ConnectionBanner({ connection, onRetry }: { connection: Connection; onRetry: () => void }) {
  const isLate = useLate(connection.kind === "connecting", GRACE);
  const seconds = useSecondsUntil(connection.kind === "waiting" ? connection.until : null);
  const text = textOf(connection, seconds);
  const isShown = connection.kind === "connecting" ? isLate : connection.kind !== "connected";
  const Icon =
    connection.kind === "offline" ? WifiOff : connection.kind === "connecting" ? LoaderCircle : CloudOff;
  return (
    <div role="status" className={isShown ? "bg-earth-soft text-earth" : "sr-only"}>
      {isShown && (
        <div className="mx-auto flex max-w-5xl animate-[rise_200ms_ease-out] items-center justify-center gap-2.5 px-4 py-2 font-semibold text-sm">
          <Icon
            aria-hidden="true"
            className={`size-4 shrink-0 ${connection.kind === "connecting" ? "animate-spin" : ""}`}
            strokeWidth={2.2}
          />
          {/* The seconds are for the eye: a screen reader would read each of them out. */}
          <span aria-hidden={connection.kind === "waiting"}>{text}</span>
          {connection.kind === "waiting" && <span className="sr-only">{words.reconnecting}</span>}
          {(connection.kind === "waiting" || connection.kind === "ended") && (
            <button type="button" onClick={onRetry} className="rounded px-1.5 underline underline-offset-2">
              {words.retryNow}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function textOf(connection: Connection, seconds: number): string {
  switch (connection.kind) {
    case "waiting":
      return seconds > 0 ? words.reconnectingIn(seconds) : words.reconnecting;
    case "offline":
      return words.offline;
    case "ended":
      return connection.reason ?? words.ended;
    case "connecting":
      return connection.isFirst ? words.connecting : words.reconnecting;
    default:
      return "";
  }
}

function useSecondsUntil(moment: number | null): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (moment === null) return;
    setNow(Date.now());
    const ticking = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(ticking);
  }, [moment]);
  return moment === null ? 0 : Math.max(0, Math.ceil((moment - now) / 1000));
}

function useLate(holds: boolean, after: number): boolean {
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    if (!holds) return setLate(false);
    const later = setTimeout(() => setLate(true), after);
    return () => clearTimeout(later);
  }, [holds, after]);
  return isLate;
}
