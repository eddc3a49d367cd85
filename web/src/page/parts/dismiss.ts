import { type KeyboardEvent, type RefObject, useCallback, useEffect, useRef, useState } from "react";

/** Something that opened goes away with a press outside of it; returns what makes Escape do the same. */
export function useDismiss(whole: RefObject<HTMLElement | null>, isOpen: boolean, close: () => void) {
  useEffect(() => {
    if (!isOpen) return;
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && !whole.current?.contains(event.target)) close();
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [whole, isOpen, close]);

  return (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !isOpen) return;
    event.stopPropagation();
    close();
  };
}

/** What a button opens beside it: `whole` is both, and Escape gives the focus back to the button. */
export function useMenu() {
  const [isOpen, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => setOpen(false), []);
  const onEscape = useDismiss(whole, isOpen, close);
  const onKeyDown = (event: KeyboardEvent) => {
    onEscape(event);
    if (event.key === "Escape" && isOpen) button.current?.focus();
  };
  return { isOpen, setOpen, whole, button, onKeyDown };
}
