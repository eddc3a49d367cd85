import { Bell, BellOff, BellRing, LogOut, Settings2, SlidersHorizontal } from "lucide-react";
import { useState } from "react";
import type { MyPresence } from "../../lib/index.ts";
import { useNotificationPermission } from "../notifications/permission.ts";
import { useMenu } from "../parts/dismiss.ts";
import { Marked } from "../presence/Faces.tsx";
import { StatusChoice } from "../presence/StatusChoice.tsx";
import { texts } from "../texts/index.ts";
import { applyTheme, chosenTheme, THEMES } from "../theme.ts";

interface Props {
  userId: string;
  userName: string;
  presence: MyPresence;
  onPresence: (status: MyPresence) => void;
  /** To choose of what one is told. */
  onNotificationSettings: () => void;
  /** Whether a question comes before signing out. */
  asksToSignOut: boolean;
  isSigningOut: boolean;
  onSignOut: () => void;
}

/** One's own corner: who one is, how one is seen, how the page looks, notifications, and the way out. */
export function AccountMenu(props: Props) {
  const { userId, userName, presence, onPresence, onNotificationSettings } = props;
  const { asksToSignOut, isSigningOut, onSignOut } = props;
  const { isOpen, setOpen, whole, button, onKeyDown } = useMenu();
  const closeForDialog = () => {
    setOpen(false);
    button.current?.focus(); // the dialog gives the focus back to what had it
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape bubbles up from whatever has the focus inside
    <div ref={whole} className="relative border-line border-t p-2" onKeyDown={onKeyDown}>
      <button
        ref={button}
        type="button"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
        className="flex w-full items-center gap-3 rounded-2xl px-2.5 py-2 text-left hover:bg-hover"
      >
        <Marked status={presence} id={userId} name={userName} />
        <span className="sr-only">
          {texts.menu}. {texts.signIn.signedInAs(userName)}. {texts.presence.yours(texts.presence[presence])}
        </span>
        <bdi aria-hidden="true" className="min-w-0 flex-1 truncate font-semibold">
          {userName}
        </bdi>
        <Settings2 aria-hidden="true" className="size-5 text-ink-soft" strokeWidth={1.9} />
      </button>
      {isOpen && (
        <div className="absolute inset-x-2 bottom-full z-20 mb-1 grid max-h-[calc(100dvh-5rem)] overflow-y-auto animate-[rise_140ms_ease-out] gap-1 rounded-3xl border border-line bg-raised p-2 shadow-(--shadow-float)">
          <StatusChoice chosen={presence} onChoose={onPresence} />
          <ThemeChoice />
          <NotificationChoice />
          <button
            type="button"
            onClick={() => {
              closeForDialog();
              onNotificationSettings();
            }}
            className="flex min-h-10 items-center gap-3 rounded-2xl px-3 text-left hover:bg-hover"
          >
            <SlidersHorizontal aria-hidden="true" className="size-5 text-ink-soft" strokeWidth={1.9} />
            {texts.notifications.settings}
          </button>
          <button
            type="button"
            disabled={isSigningOut}
            onClick={() => {
              if (asksToSignOut) closeForDialog();
              onSignOut();
            }}
            className="flex min-h-10 items-center gap-3 rounded-2xl px-3 text-left enabled:hover:bg-hover disabled:opacity-55"
          >
            <LogOut aria-hidden="true" className="size-5 text-ink-soft" strokeWidth={1.9} />
            {isSigningOut ? texts.signIn.signingOut : texts.signIn.signOut}
          </button>
        </div>
      )}
    </div>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState(chosenTheme);
  return (
    <fieldset className="px-3 pt-3 pb-1">
      <legend className="float-left w-full pb-1.5 font-semibold text-ink-soft text-sm">
        {texts.theme.label}
      </legend>
      <div className="clear-both grid grid-cols-[auto_1fr_1fr] gap-1 rounded-full bg-ground p-1 text-center font-semibold text-sm">
        {THEMES.map((one) => (
          <label
            key={one}
            className="relative rounded-full px-2.5 py-1.5 has-checked:bg-raised has-checked:shadow-(--shadow-lift) has-focus-visible:outline-2 has-focus-visible:outline-leaf"
          >
            <input
              type="radio"
              name="theme"
              value={one}
              checked={theme === one}
              onChange={() => {
                applyTheme(one);
                setTheme(one);
              }}
              className="absolute inset-0 cursor-pointer appearance-none outline-none"
            />
            {texts.theme[one]}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

function NotificationChoice() {
  const { permission, ask } = useNotificationPermission();
  const words = texts.notifications;
  if (permission === "unsupported") return null;
  const isOpen = permission === "default";
  const Icon = { granted: BellRing, denied: BellOff, default: Bell }[permission];
  return (
    <button
      type="button"
      disabled={!isOpen}
      onClick={ask}
      className="flex min-h-10 items-center gap-3 rounded-2xl px-3 py-2 text-left enabled:hover:bg-hover"
    >
      <Icon aria-hidden="true" className="size-5 shrink-0 text-ink-soft" strokeWidth={1.9} />
      <span className="grid">
        {{ granted: words.allowed, denied: words.blocked, default: words.allow }[permission]}
        {isOpen && <span className="text-ink-soft text-sm leading-snug">{words.allowHint}</span>}
      </span>
    </button>
  );
}
