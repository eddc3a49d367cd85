/** What is asked for again and again while something moves, and done once. */
import { useCallback, useEffect, useLayoutEffect, useRef } from "react";

/** Milliseconds in which nothing moved. */
const REST = 250;

/** What asks for `act` once nothing moves any more. */
export function useRested(act: () => void): () => void {
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const latest = useRef(act);
  useLayoutEffect(() => {
    latest.current = act;
  });
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback(() => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => latest.current(), REST);
  }, []);
}
