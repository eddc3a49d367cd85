import { PinOff } from "lucide-react";
import { useState } from "react";
import type { Pin } from "../../lib/index.ts";
import { plainText } from "../messages/markdown.ts";
import { IconButton } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { When } from "../parts/When.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.pins;
const PREVIEW = 280;

interface Props {
  pins: readonly Pin[];
  mayUnpin: boolean;
  unpin: (messageId: string) => Promise<void>;
  onPick: (seq: number) => void;
  onClose: () => void;
}

/** What is pinned here, each leading to its place. */
export default function PinsDialog({ pins, mayUnpin, unpin, onPick, onClose }: Props) {
  const [failure, setFailure] = useState<string | null>(null);
  const take = (messageId: string) => {
    setFailure(null);
    unpin(messageId).catch((error) => setFailure(texts.members.failed(reasonOf(error))));
  };
  return (
    <Dialog title={words.title} onClose={onClose}>
      <div className="min-h-24 overflow-y-auto px-3 pt-2 pb-5">
        <p role="alert" className={failure ? "px-3 text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        {pins.length === 0 && <p className="px-3 py-6 text-center text-ink-soft">{words.none}</p>}
        <ul>
          {pins.map(({ message }) => (
            <li key={message.id} className="flex items-start gap-1 rounded-2xl hover:bg-hover">
              <button
                type="button"
                onClick={() => onPick(message.seq)}
                className="grid min-w-0 flex-1 gap-0.5 rounded-2xl px-3 py-2 text-left"
              >
                <span className="flex items-baseline gap-2">
                  <bdi className="min-w-0 flex-1 truncate font-semibold">{message.senderName}</bdi>
                  <When at={new Date(message.createdAt)} className="shrink-0 text-ink-soft text-xs" />
                </span>
                <span className="line-clamp-3 text-sm [overflow-wrap:anywhere]">
                  {plainText(message.content).slice(0, PREVIEW) || texts.conversations.attachment}
                </span>
              </button>
              {mayUnpin && <IconButton icon={PinOff} label={words.unpin} onClick={() => take(message.id)} />}
            </li>
          ))}
        </ul>
      </div>
    </Dialog>
  );
}
