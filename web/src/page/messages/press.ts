/** A finger that rests on something opens what belongs to it. */
import { type PointerEvent, useCallback, useEffect, useRef } from "react";

const LONG = 450; // milliseconds
const STILL = 10; // pixels that a resting finger may move

/** Handlers for the element that is pressed. A mouse has other ways; a finger that moves scrolls. */
export function useLongPress(onPress: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const start = useRef({ x: 0, y: 0 });
  const end = useCallback(() => clearTimeout(timer.current), []);
  useEffect(() => end, [end]);
  return {
    onPointerDown(event: PointerEvent) {
      if (event.pointerType === "mouse") return;
      end();
      start.current = { x: event.clientX, y: event.clientY };
      timer.current = setTimeout(onPress, LONG);
    },
    onPointerMove(event: PointerEvent) {
      const { x, y } = start.current;
      if (Math.hypot(event.clientX - x, event.clientY - y) > STILL) end();
    },
    onPointerUp: end,
    onPointerCancel: end,
  };
}
