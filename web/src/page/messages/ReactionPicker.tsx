import { SmilePlus } from "lucide-react";
import { lazy, useState } from "react";
import { IconButton } from "../parts/buttons.tsx";
import { Fetched } from "../parts/Fetched.tsx";
import { texts } from "../texts/index.ts";

const EmojiPicker = lazy(() => import("../composer/EmojiPicker.tsx"));
const QUICK = ["👍", "❤️", "😂", "😮", "😢", "🎉"];

/** A few emoji at hand, and all others behind a button. */
export function ReactionPicker(props: {
  isMine: (emoji: string) => boolean;
  onPick: (emoji: string) => void;
}) {
  const { isMine, onPick } = props;
  const [isWhole, setWhole] = useState(false);
  if (isWhole)
    return (
      <Fetched onClose={() => setWhole(false)}>
        <EmojiPicker onPick={onPick} />
      </Fetched>
    );
  return (
    <div className="flex justify-between p-1">
      {QUICK.map((emoji) => (
        <button
          key={emoji}
          type="button"
          aria-pressed={isMine(emoji)}
          onClick={() => onPick(emoji)}
          className="grid size-10 place-items-center rounded-full text-xl hover:bg-hover aria-pressed:border-2 aria-pressed:border-leaf aria-pressed:bg-leaf-soft"
        >
          {emoji}
        </button>
      ))}
      <IconButton icon={SmilePlus} label={texts.messages.moreEmoji} onClick={() => setWhole(true)} />
    </div>
  );
}
