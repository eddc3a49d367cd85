/** Whether this device is told while no page is open, as the page shows and changes it. */
import { useEffect, useMemo, useRef, useState } from "react";
import type { Conversation } from "../../lib/index.ts";
import { createPush, type PushState } from "../../lib/push.ts";
import type { Session } from "../signin/session.ts";
import { reasonOf } from "../texts/reason.ts";
import { withdrawNotice } from "./permission.ts";

export interface PushDevice {
  /** Null until it is known. */
  state: PushState | null;
  failure: string | null;
  /** Whether it is to show from whom and what, as was chosen last. */
  hasPreview: boolean;
  set: (isOn: boolean, preview: boolean) => void;
  /** What this device shows of a conversation is taken back up to what was read. */
  withdraw: (conversationId: string, seq: number) => void;
  /** This device is nobody's any more. */
  forget: () => Promise<unknown>;
}

export function usePush(session: Session): PushDevice {
  const [state, setState] = useState<PushState | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const push = useMemo(() => createPush({ getToken: ({ refused }) => session.token(refused) }), [session]);
  useEffect(() => {
    let isWanted = true;
    // What cannot be found out now is found out by the next visit.
    push.state().then(
      (found) => isWanted && setState(found),
      () => undefined,
    );
    return () => {
      isWanted = false;
    };
  }, [push]);
  return useMemo(
    () => ({
      state,
      failure,
      hasPreview: push.hasPreview(),
      set(isOn, preview) {
        setFailure(null);
        const done = isOn ? push.subscribe({ preview }) : push.unsubscribe();
        done.then(setState, (error) => setFailure(reasonOf(error)));
      },
      withdraw: push.withdraw,
      forget: push.forget,
    }),
    [push, state, failure],
  );
}

/** What was read, here or elsewhere, is no longer shown on the device. */
export function useWithdrawal(
  conversations: readonly Conversation[],
  withdraw: PushDevice["withdraw"],
): void {
  const before = useRef<ReadonlyMap<string, number>>(new Map());
  useEffect(() => {
    for (const { id, lastReadSeq } of conversations)
      if (lastReadSeq > (before.current.get(id) ?? 0)) {
        withdraw(id, lastReadSeq);
        withdrawNotice(id, lastReadSeq);
      }
    before.current = new Map(conversations.map(({ id, lastReadSeq }) => [id, lastReadSeq]));
  }, [conversations, withdraw]);
}
