import { Lock } from "lucide-react";
import { Button } from "../parts/buttons.tsx";
import { texts } from "../texts/index.ts";

/** In the place of the composer while a conversation is closed. */
export function ClosedLine({ onReopen }: { onReopen: (() => void) | null }) {
  return (
    <div className="mx-4 mb-4 flex flex-wrap items-center justify-center gap-x-4 gap-y-2 rounded-3xl bg-ground px-4 py-3 text-ink-soft">
      <p className="flex items-center gap-2.5">
        <Lock aria-hidden="true" className="size-4.5 shrink-0" />
        {texts.menuOfRoom.closed}
      </p>
      {onReopen && <Button onClick={onReopen}>{texts.menuOfRoom.reopen}</Button>}
    </div>
  );
}
