import { useEffect, useRef, useState } from "react";
import type { Edit } from "../../lib/index.ts";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { exactTimeOf } from "../time.ts";
import { Markdown } from "./Markdown.tsx";
import type { Spoken } from "./rows.ts";

const words = texts.messages;

/** What a message said before, oldest first, and what it says now; asked for when one wants to know. */
export default function EditsDialog(props: {
  message: Spoken;
  load: () => Promise<Edit[]>;
  onClose: () => void;
}) {
  const { message, load, onClose } = props;
  const [edits, setEdits] = useState<Edit[] | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const asked = useRef(load);

  useEffect(() => {
    let isShown = true;
    asked.current().then(
      (found) => isShown && setEdits(found),
      (error: unknown) => isShown && setFailure(reasonOf(error)),
    );
    return () => {
      isShown = false;
    };
  }, []);

  return (
    <Dialog title={words.history} onClose={onClose}>
      <div className="min-h-24 overflow-y-auto px-6 pt-2 pb-6">
        {failure && (
          <p role="alert" className="py-3 text-danger">
            {texts.members.failed(failure)}
          </p>
        )}
        {!edits && !failure && (
          <p role="status" className="py-3 text-ink-soft">
            {texts.loading}
          </p>
        )}
        <ol className="grid gap-4">
          {edits?.map(({ content, at }) => (
            <li key={at} className="grid gap-1">
              <p className="text-ink-soft text-xs">{words.until(exactTimeOf(new Date(at)))}</p>
              <div className="rounded-2xl bg-hover px-4 py-2.5">
                <Markdown content={content} />
              </div>
            </li>
          ))}
          {edits && (
            <li className="grid gap-1">
              <p className="text-ink-soft text-xs">{words.now}</p>
              <div className="rounded-2xl bg-leaf-soft px-4 py-2.5">
                <Markdown content={message.content} />
              </div>
            </li>
          )}
        </ol>
      </div>
    </Dialog>
  );
}
