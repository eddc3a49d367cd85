import { useEffect, useRef, useState } from "react";
import type { Person } from "../../lib/index.ts";
import { Avatar } from "../parts/Avatar.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.reading;

/** Everybody who has read a message, asked for when one wants to know. */
export default function ReadersDialog({
  load,
  onClose,
}: {
  load: () => Promise<Person[]>;
  onClose: () => void;
}) {
  const [people, setPeople] = useState<Person[] | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const asked = useRef(load);

  useEffect(() => {
    let isShown = true;
    asked.current().then(
      (found) => isShown && setPeople(found),
      (error: unknown) => isShown && setFailure(reasonOf(error)),
    );
    return () => {
      isShown = false;
    };
  }, []);

  return (
    <Dialog title={words.who} onClose={onClose} narrow>
      <div className="min-h-24 overflow-y-auto px-4 pt-2 pb-5">
        {failure && (
          <p role="alert" className="px-2 py-3 text-danger">
            {texts.members.failed(failure)}
          </p>
        )}
        {!people && !failure && (
          <p role="status" className="px-2 py-3 text-ink-soft">
            {texts.loading}
          </p>
        )}
        <ul>
          {people?.map(({ userId, userName }) => (
            <li key={userId} className="flex min-h-12 items-center gap-3 rounded-2xl px-2 py-1">
              <Avatar id={userId} name={userName} />
              <bdi className="min-w-0 truncate">{userName}</bdi>
            </li>
          ))}
        </ul>
      </div>
    </Dialog>
  );
}
