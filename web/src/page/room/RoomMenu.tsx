import {
  Archive,
  ArchiveRestore,
  Bell,
  BellOff,
  EllipsisVertical,
  History,
  Lock,
  LockOpen,
  type LucideIcon,
  Pin,
  SlidersHorizontal,
} from "lucide-react";
import { type Conversation, may, type OwnSettings } from "../../lib/index.ts";
import { IconButton } from "../parts/buttons.tsx";
import { useMenu } from "../parts/dismiss.ts";
import { texts } from "../texts/index.ts";

const words = texts.menuOfRoom;

interface Props {
  conversation: Conversation;
  pinCount: number;
  onPins: () => void;
  onSettings: (settings: OwnSettings) => void;
  onNotifications: () => void;
  onClosing: () => void;
  onReopen: () => void;
  onAudit: () => void;
}

/** What one may do with a conversation, for oneself and for everybody. */
export function RoomMenu(props: Props) {
  const { conversation, pinCount, onPins, onSettings, onNotifications, onClosing, onReopen, onAudit } = props;
  const { isMuted, isArchived, closedAt } = conversation;
  const { isOpen, setOpen, whole, button, onKeyDown } = useMenu();
  const item = (Icon: LucideIcon, label: string, act: () => void) => (
    <li>
      <button
        type="button"
        onClick={() => {
          setOpen(false);
          button.current?.focus();
          act();
        }}
        className="flex min-h-10 w-full items-center gap-3 rounded-2xl px-3 text-left hover:bg-hover"
      >
        <Icon aria-hidden="true" className="size-5 shrink-0 text-ink-soft" strokeWidth={1.9} />
        {label}
      </button>
    </li>
  );
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape bubbles up from whatever has the focus inside
    <div ref={whole} className="relative" onKeyDown={onKeyDown}>
      <IconButton
        ref={button}
        icon={EllipsisVertical}
        label={words.open}
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
        className={isOpen ? "bg-hover" : ""}
      />
      {isOpen && (
        <ul
          aria-label={words.open}
          className="absolute top-full right-0 z-20 mt-1 w-72 max-w-[calc(100vw-1.5rem)] animate-[rise_140ms_ease-out] rounded-3xl border border-line bg-raised p-2 shadow-(--shadow-float)"
        >
          {item(Pin, words.pins(pinCount), onPins)}
          {isMuted
            ? item(Bell, words.unmute, () => onSettings({ isMuted: false }))
            : item(BellOff, words.mute, () => onSettings({ isMuted: true }))}
          {item(SlidersHorizontal, texts.notifications.menu, onNotifications)}
          {isArchived
            ? item(ArchiveRestore, words.unarchive, () => onSettings({ isArchived: false }))
            : item(Archive, words.archive, () => onSettings({ isArchived: true }))}
          {may("close", conversation) &&
            (closedAt ? item(LockOpen, words.reopen, onReopen) : item(Lock, words.close, onClosing))}
          {may("read_audit", conversation) && item(History, words.audit, onAudit)}
        </ul>
      )}
    </div>
  );
}
