import type { ComponentProps, ReactNode } from "react";
import type { PersonPresence } from "../../lib/index.ts";
import { useChatState, usePresence } from "../../lib/react.ts";
import { Avatar } from "../parts/Avatar.tsx";
import { texts } from "../texts/index.ts";
import { Dot } from "./Dot.tsx";

type Face = ComponentProps<typeof Avatar>;

/** An avatar; a person's says whether they are here. `isQuiet` where that is also written beside it. */
export function LiveAvatar({ isQuiet, ...face }: Face & { isQuiet?: boolean }) {
  const personId = face.kind === "person" || face.kind === undefined ? face.id : null;
  const seen = usePresence(personId)?.status ?? null;
  const own = useChatState(({ me, myPresence }) => (me?.userId === personId ? myPresence : null));
  const status = own ?? seen;
  if (status === null || status === "offline") return <Avatar {...face} />;
  return (
    <Marked status={status} {...face}>
      {!isQuiet && <span className="sr-only">{texts.presence[status]}</span>}
    </Marked>
  );
}

/** An avatar with a mark of this status. */
export function Marked(
  props: Face & { status: PersonPresence["status"] | "invisible"; children?: ReactNode },
) {
  const { status, children, ...face } = props;
  return (
    <span className="relative block shrink-0">
      <Avatar {...face} />
      <Dot
        status={status}
        className={`-right-0.5 -bottom-0.5 absolute ring-2 ring-surface ${face.size === "huge" ? "right-0.5! bottom-0.5! size-5!" : ""}`}
      />
      {children}
    </span>
  );
}
