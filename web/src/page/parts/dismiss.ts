import {
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent as Press,
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
} from "react";

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
    event.preventDefault(); // or it closes the dialog that this may be in
    event.stopPropagation();
    close();
  };
}

/** A dialog goes away with a press on its veil; one that begins inside, as to select text, may end there. */
export function useVeil(close: () => void) {
  const isBegun = useRef(false);
  return {
    onPointerDown: (event: Press) => {
      isBegun.current = event.target === event.currentTarget;
    },
    onClick: (event: MouseEvent) => {
      if (isBegun.current && event.target === event.currentTarget) close();
    },
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
