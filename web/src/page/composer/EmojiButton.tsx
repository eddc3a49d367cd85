import { Smile } from "lucide-react";
import { lazy, useCallback, useRef, useState } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { useDismiss } from "../parts/dismiss.ts";
import { Fetched } from "../parts/Fetched.tsx";
import { texts } from "../texts/index.ts";

const EmojiPicker = lazy(() => import("./EmojiPicker.tsx"));

/** Opens the picker above itself; `onClose` may give the focus back to where it was. */
export function EmojiButton({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const [isOpen, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  const onEscape = useDismiss(
    whole,
    isOpen,
    useCallback(() => setOpen(false), []),
  );
  const pick = (emoji: string) => {
    onPick(emoji);
    setOpen(false);
    onClose();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape bubbles up from whatever has the focus inside
    <div
      ref={whole}
      className="relative"
      onKeyDown={(event) => {
        onEscape(event);
        if (event.key === "Escape" && isOpen) onClose();
      }}
    >
      <IconButton
        icon={Smile}
        label={texts.composer.emoji}
        aria-expanded={isOpen}
        aria-haspopup="dialog"
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div
          role="dialog"
          aria-label={texts.composer.emoji}
          className="absolute bottom-full left-0 z-20 mb-3 animate-[rise_140ms_ease-out]"
        >
          <Fetched onClose={() => setOpen(false)}>
            <EmojiPicker onPick={pick} />
          </Fetched>
        </div>
      )}
    </div>
  );
}
