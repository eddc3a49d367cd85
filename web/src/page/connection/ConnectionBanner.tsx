import { CloudOff, LoaderCircle, WifiOff } from "lucide-react";
import { useEffect, useState } from "react";
import { texts } from "../texts/index.ts";

export type Banner =
  | { kind: "connected" }
  | { kind: "connecting"; isFirst: boolean }
  | { kind: "waiting"; until: number }
  | { kind: "offline" }
  | { kind: "ended"; code: number };

const words = texts.connection;
const GRACE = 1200; // a connection that takes no longer than this needs no words
const BACK = 5000; // as long as it is said that it is there again

/** Says what the connection does while it is not simply there. */
export function ConnectionBanner({ banner, onRetry }: { banner: Banner; onRetry: () => void }) {
  const isLate = useLate(banner.kind === "connecting", GRACE);
  const seconds = useSecondsUntil(banner.kind === "waiting" ? banner.until : null);
  const text = textOf(banner, seconds);
  const isShown = banner.kind === "connecting" ? isLate : banner.kind !== "connected";
  const isLost = isShown && !(banner.kind === "connecting" && banner.isFirst);
  const isBack = useBack(isLost, banner.kind === "connected");
  const Icon = banner.kind === "offline" ? WifiOff : banner.kind === "connecting" ? LoaderCircle : CloudOff;
  return (
    <div role="status" className={isShown ? "bg-earth-soft text-earth" : "sr-only"}>
      {isBack && words.back}
      {isShown && (
        <div className="mx-auto flex max-w-5xl animate-[rise_200ms_ease-out] items-center justify-center gap-2.5 px-4 py-2 font-semibold text-sm">
          <Icon
            aria-hidden="true"
            className={`size-4 shrink-0 ${banner.kind === "connecting" ? "animate-spin" : ""}`}
            strokeWidth={2.2}
          />
          {/* The seconds are for the eye: a screen reader would read each of them out. */}
          <span aria-hidden={banner.kind === "waiting"}>{text}</span>
          {banner.kind === "waiting" && <span className="sr-only">{words.reconnecting}</span>}
          {(banner.kind === "waiting" || banner.kind === "ended") && (
            <button type="button" onClick={onRetry} className="rounded px-1.5 underline underline-offset-2">
              {words.retryNow}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

function textOf(banner: Banner, seconds: number): string {
  switch (banner.kind) {
    case "waiting":
      return seconds > 0 ? words.reconnectingIn(seconds) : words.reconnecting;
    case "offline":
      return words.offline;
    case "ended":
      return words.endedBecause[banner.code] ?? words.ended;
    case "connecting":
      return banner.isFirst ? words.connecting : words.reconnecting;
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

/** Whether a connection is there again that was said to be lost: an empty banner tells that to the eye only. */
function useBack(isLost: boolean, isConnected: boolean): boolean {
  const [wasLost, setWasLost] = useState(false);
  useEffect(() => {
    if (isLost) setWasLost(true);
    if (!isConnected) return;
    const later = setTimeout(() => setWasLost(false), BACK);
    return () => clearTimeout(later);
  }, [isLost, isConnected]);
  return wasLost && isConnected;
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
