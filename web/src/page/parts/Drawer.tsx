import { type ReactNode, useLayoutEffect, useRef } from "react";
import { useVeil } from "./dismiss.ts";

/** A panel over the page's side, where there is no room beside the rest; modal as a dialog is. */
export function Drawer({
  label,
  onClose,
  children,
}: {
  label: string;
  onClose: () => void;
  children: ReactNode;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const veil = useVeil(onClose);
  // Closed while it is still in the page: only then does the browser give the focus back.
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={element}
      aria-label={label}
      onCancel={(event) => {
        if (event.target !== element.current) return;
        event.preventDefault();
        onClose();
      }}
      {...veil}
      className="mr-0 ml-auto h-dvh max-h-none w-96 max-w-full animate-[rise_180ms_ease-out] border-line border-l bg-ground p-0 shadow-(--shadow-float) backdrop:bg-veil"
    >
      {children}
    </dialog>
  );
}
