import { useCallback, useEffect, useState } from "react";
import type { AuditEntry, Page } from "../../lib/index.ts";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { When } from "../parts/When.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { wordsOf } from "./changes.ts";

interface Props {
  load: (cursor: string | null) => Promise<Page<AuditEntry>>;
  nameOf: (userId: string) => string;
  onClose: () => void;
}

/** Who changed what in a conversation, newest first. */
export default function AuditDialog({ load, nameOf, onClose }: Props) {
  const [entries, setEntries] = useState<readonly AuditEntry[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const more = useCallback(
    async (from: string | null) => {
      setCursor(null); // pressed twice, it is asked for once
      try {
        const page = await load(from);
        setEntries((before) => (from === null ? page.items : [...before, ...page.items]));
        setCursor(page.nextCursor);
      } catch (error) {
        setFailure(texts.members.failed(reasonOf(error)));
        setCursor(from);
      }
    },
    [load],
  );
  useEffect(() => void more(null), [more]);

  return (
    <Dialog title={texts.audit.title} onClose={onClose}>
      <div className="min-h-24 overflow-y-auto px-6 pt-2 pb-5">
        <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        <ol>
          {entries.map((entry) => (
            <li key={entry.id} className="flex items-baseline gap-3 border-line border-b py-2 last:border-0">
              <p className="min-w-0 flex-1 [overflow-wrap:anywhere]">
                {wordsOf(entry, (userId) => entry.names?.[userId] ?? nameOf(userId), texts.audit)}
              </p>
              <When at={new Date(entry.at)} className="shrink-0 text-ink-soft text-xs" />
            </li>
          ))}
        </ol>
        {cursor !== null && (
          <Button className="mt-3 w-full" onClick={() => void more(cursor)}>
            {texts.audit.more}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
