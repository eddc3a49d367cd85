import { type ReactNode, type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";

const GAP = 6;
const EDGE = 8;

interface Props {
  label: string;
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
  /** From the lower edge of the screen, where it is narrow. */
  isSheet?: boolean;
  children: ReactNode;
}

/** A small modal dialog at what it belongs to, above everything, so that no scroller cuts it off. */
export function Anchored({ label, anchor, onClose, isSheet = false, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const isPressed = useRef(false);
  const [place, setPlace] = useState({ left: 0, top: 0 });

  useLayoutEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    dialog.showModal();
    const settle = () => {
      const around = anchor.current?.getBoundingClientRect();
      if (!around) return;
      const { offsetWidth: width, offsetHeight: height } = dialog;
      const isRight = around.left + around.width / 2 > innerWidth / 2;
      const left = isRight ? around.right - width : around.left;
      const above = around.top - height - GAP;
      const top = above < EDGE ? around.bottom + GAP : above;
      setPlace({ left: within(left, innerWidth - width), top: within(top, innerHeight - height) });
    };
    // What is loaded later makes it larger, and the keyboard of a phone makes the page lower.
    const observer = new ResizeObserver(settle);
    observer.observe(dialog);
    observer.observe(document.body);
    settle();
    return () => {
      observer.disconnect();
      dialog.close();
    };
  }, [anchor]);

  useEffect(() => {
    const width = innerWidth;
    // Not for another height: that may be the keyboard of whoever begins to write in it.
    const resized = () => innerWidth !== width && onClose();
    addEventListener("resize", resized);
    return () => removeEventListener("resize", resized);
  }, [onClose]);

  return (
    <dialog
      ref={element}
      aria-label={label}
      style={isSheet ? undefined : place}
      onCancel={(event) => {
        if (event.target !== element.current) return;
        event.preventDefault();
        onClose();
      }}
      onPointerDown={(event) => {
        isPressed.current = true;
        if (event.target === element.current) onClose();
      }}
      // The finger whose long press opened it is still to be lifted, and chooses nothing.
      onClickCapture={(event) => {
        if (event.detail > 0 && !isPressed.current) event.stopPropagation();
      }}
      className={`m-0 max-w-[calc(100vw-1rem)] animate-[rise_140ms_ease-out] rounded-3xl border border-line bg-raised p-0 shadow-(--shadow-float) ${isSheet ? "overflow-y-auto inset-auto top-auto right-2 bottom-2 left-2 mx-auto w-auto max-w-md backdrop:bg-veil" : "overflow-hidden backdrop:bg-transparent"}`}
    >
      {children}
    </dialog>
  );
}

const within = (at: number, most: number) => Math.max(EDGE, Math.min(at, most - EDGE));
