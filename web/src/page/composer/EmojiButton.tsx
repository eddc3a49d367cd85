import { Smile } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";

const EmojiPicker = lazy(() => import("./EmojiPicker.tsx"));

/** Opens the picker above itself; a pick, Escape or a click elsewhere closes it. */
export function EmojiButton({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const [isOpen, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (!isOpen) return;
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && !whole.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen]);

  const close = () => {
    setOpen(false);
    onClose();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape bubbles up from whatever has the focus inside
    <div
      ref={whole}
      className="relative"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        event.stopPropagation();
        close();
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
          <Suspense>
            <EmojiPicker
              onPick={(emoji) => {
                onPick(emoji);
                close();
              }}
            />
          </Suspense>
        </div>
      )}
    </div>
  );
}
