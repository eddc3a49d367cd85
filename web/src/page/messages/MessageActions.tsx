import { Pencil, Reply, SmilePlus, Trash2 } from "lucide-react";
import { lazy, Suspense, useCallback, useRef, useState } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { Confirm } from "../parts/Confirm.tsx";
import { useDismiss } from "../parts/dismiss.ts";
import { texts } from "../texts/index.ts";
import type { Acts, Row } from "./rows.ts";

const EmojiPicker = lazy(() => import("../composer/EmojiPicker.tsx"));
const words = texts.messages;
const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🎉"];

/** What can be done with a message: shown with the pointer over it, with the focus in it, or after a long press. */
export function MessageActions({ row, acts, isShown }: { row: Row; acts: Acts; isShown: boolean }) {
  const [isPicking, setPicking] = useState(false);
  const [isAsking, setAsking] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  const close = useCallback(() => setPicking(false), []);
  const onEscape = useDismiss(whole, isPicking, close);
  const { message, isOwn } = row;
  const pick = (emoji: string) => {
    setPicking(false);
    acts.react(message, emoji, true);
  };
  const visible = isShown || isPicking ? "opacity-100" : "pointer-events-none opacity-0";
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: Escape bubbles up from whatever has the focus inside */}
      <div
        ref={whole}
        onKeyDown={onEscape}
        className={`absolute bottom-full z-10 -mb-2 flex rounded-full border border-line bg-raised shadow-(--shadow-lift) transition-opacity focus-within:pointer-events-auto focus-within:opacity-100 group-hover:pointer-events-auto group-hover:opacity-100 ${isOwn ? "right-2" : "left-2"} ${visible}`}
      >
        <IconButton
          icon={SmilePlus}
          label={words.react}
          aria-haspopup="dialog"
          aria-expanded={isPicking}
          className="size-9"
          onClick={() => setPicking(!isPicking)}
        />
        <IconButton
          icon={Reply}
          label={words.reply}
          className="size-9"
          onClick={() => acts.compose({ kind: "reply", message })}
        />
        {isOwn && (
          <IconButton
            icon={Pencil}
            label={words.edit}
            className="size-9"
            onClick={() => acts.compose({ kind: "edit", message })}
          />
        )}
        {(isOwn || acts.mayDeleteAny) && (
          <IconButton icon={Trash2} label={words.delete} className="size-9" onClick={() => setAsking(true)} />
        )}
        {isPicking && <Picker onPick={pick} isOwn={isOwn} />}
      </div>
      {isAsking && (
        <Confirm
          title={words.deleteTitle}
          question={words.deleteQuestion}
          submit={words.delete}
          action={() => acts.delete(message)}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  );
}

function Picker({ onPick, isOwn }: { onPick: (emoji: string) => void; isOwn: boolean }) {
  const [isWhole, setWhole] = useState(false);
  return (
    <div
      role="dialog"
      aria-label={words.react}
      className={`absolute top-full z-20 mt-1 animate-[rise_140ms_ease-out] ${isOwn ? "right-0" : "left-0"}`}
    >
      {isWhole ? (
        <Suspense>
          <EmojiPicker onPick={onPick} />
        </Suspense>
      ) : (
        <div className="flex rounded-full border border-line bg-raised p-1 shadow-(--shadow-float)">
          {QUICK.map((emoji) => (
            <button
              key={emoji}
              type="button"
              onClick={() => onPick(emoji)}
              className="grid size-9 place-items-center rounded-full text-xl hover:bg-hover"
            >
              {emoji}
            </button>
          ))}
          <IconButton
            icon={SmilePlus}
            label={words.moreEmoji}
            className="size-9"
            onClick={() => setWhole(true)}
          />
        </div>
      )}
    </div>
  );
}
