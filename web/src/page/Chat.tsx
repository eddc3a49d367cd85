import type { Session } from "./signin/session.ts";

/** Placeholder until the store exists. */
export function Chat({ session, onSignOut }: { session: Session; onSignOut: (why: string | null) => void }) {
  return (
    <button type="button" onClick={() => onSignOut(null)}>
      {session.userName}
    </button>
  );
}
