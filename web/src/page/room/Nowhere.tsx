import { Mark } from "../parts/Mark.tsx";
import { texts } from "../texts/index.ts";

/** In the place of a conversation, while none is chosen. */
export function Nowhere() {
  return (
    <div className="m-auto grid max-w-sm justify-items-center gap-3 px-8 text-center">
      <Mark className="size-16 text-leaf" />
      <p className="font-display text-2xl">{texts.tagline}</p>
      <p className="text-ink-soft">{texts.conversations.pick}</p>
    </div>
  );
}
