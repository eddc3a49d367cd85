import { X } from "lucide-react";
import { useEffect, useState } from "react";
import { addressOf, type Listed } from "../conversations/ConversationItem.tsx";
import { Avatar } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";

/** Something that happened where the person is not looking. */
export interface Toast {
  id: string;
  conversationId: string;
  /** Null for that of the conversation. */
  title: string | null;
  body: string;
  /** Also where one is looking. */
  isAlways?: boolean;
  /** Until it is closed, or the conversation is looked at. */
  isLasting?: boolean;
}

const STAYS = 6000;
const words = texts.notifications;

/** The newest few; most of them go by themselves after a while, but not while the pointer or the focus rests on them. */
export function Toasts(props: { toasts: Toast[]; items: Listed[]; onClose: (id: string) => void }) {
  const { toasts, items, onClose } = props;
  return (
    <section
      aria-label={words.region}
      aria-live="polite"
      className="pointer-events-none fixed top-18 right-3 z-30 grid w-88 max-w-[calc(100vw-1.5rem)] gap-2"
    >
      {toasts.map((toast) => (
        <ToastCard
          key={toast.id}
          toast={toast}
          item={items.find((item) => item.id === toast.conversationId)}
          onClose={() => onClose(toast.id)}
        />
      ))}
    </section>
  );
}

function ToastCard(props: { toast: Toast; item: Listed | undefined; onClose: () => void }) {
  const { toast, item, onClose } = props;
  const [isPointedAt, setPointedAt] = useState(false);
  const [hasFocus, setFocus] = useState(false);
  const isHeld = isPointedAt || hasFocus;
  // biome-ignore lint/correctness/useExhaustiveDependencies: from when it appears, or is let go of
  useEffect(() => {
    if (isHeld || toast.isLasting) return;
    const later = setTimeout(onClose, STAYS);
    return () => clearTimeout(later);
  }, [isHeld]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only notices that somebody is busy with it
    <div
      onPointerEnter={() => setPointedAt(true)}
      onPointerLeave={() => setPointedAt(false)}
      onFocus={() => setFocus(true)}
      onBlur={() => setFocus(false)}
      className="pointer-events-auto flex animate-[rise_200ms_ease-out] items-start gap-3 rounded-2xl border border-line bg-raised py-3 pr-2 pl-3.5 shadow-(--shadow-float)"
    >
      {item && <Avatar id={item.face.id} name={item.title} kind={item.face.kind} />}
      <a href={addressOf(toast.conversationId)} onClick={onClose} className="grid min-w-0 flex-1 rounded-lg">
        <bdi className="truncate font-semibold text-[0.9375rem]">
          {toast.title ?? item?.title ?? texts.appName}
        </bdi>
        <span className="line-clamp-2 text-ink-soft text-sm [overflow-wrap:anywhere]">{toast.body}</span>
      </a>
      <button
        type="button"
        aria-label={words.close}
        onClick={onClose}
        className="grid size-8 shrink-0 place-items-center rounded-full text-ink-soft hover:bg-hover hover:text-ink"
      >
        <X aria-hidden="true" className="size-4" />
      </button>
    </div>
  );
}
