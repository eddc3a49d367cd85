import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { texts } from "../texts/index.ts";
import { IconButton } from "./buttons.tsx";
import { useVeil } from "./dismiss.ts";

/** A modal dialog: the browser keeps the focus inside, closes it with Escape, and gives the focus back. */
export function Dialog(props: { title: string; onClose: () => void; children: ReactNode; narrow?: boolean }) {
  const { title, onClose, children, narrow } = props;
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
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
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      {...veil}
      className={`m-auto max-h-[min(44rem,calc(100dvh-2rem))] w-[calc(100vw-2rem)] ${narrow ? "max-w-md" : "max-w-lg"} animate-[rise_180ms_ease-out] overflow-hidden rounded-3xl border border-line bg-raised p-0 shadow-(--shadow-float) backdrop:bg-veil`}
    >
      <div className="flex max-h-[inherit] flex-col">
        <header className="flex items-center justify-between gap-3 pt-4 pr-3 pl-6">
          <h2 id={titleId} className="min-w-0 font-display text-xl leading-snug [overflow-wrap:anywhere]">
            {title}
          </h2>
          <IconButton icon={X} label={texts.members.close} onClick={onClose} className="self-start" />
        </header>
        {children}
      </div>
    </dialog>
  );
}
