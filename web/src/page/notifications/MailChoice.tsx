import { useEffect, useState } from "react";
import type { Mails } from "../../lib/index.ts";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";

const words = texts.notifications.mail;

interface Props {
  load: () => Promise<Mails>;
  save: (wanted: Pick<Mails, "digest" | "language">) => Promise<Mails>;
}

/** Whether one gets a mail about what stays unread; nothing, where none are sent. */
export function MailChoice({ load, save }: Props) {
  const [mails, setMails] = useState<Mails | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    let isWanted = true;
    load().then(
      (found) => isWanted && setMails(found),
      () => undefined, // the rest of the dialog says what is wrong
    );
    return () => {
      isWanted = false;
    };
  }, [load]);
  if (!mails?.available) return null;
  const choose = (digest: boolean) => {
    setFailure(null);
    setMails({ ...mails, digest });
    const language = texts.language === "fr" ? "fr" : "en";
    save({ digest, language }).then(setMails, (error) => {
      setFailure(reasonOf(error));
      setMails(mails);
    });
  };
  return (
    <fieldset className="grid gap-1">
      <legend className="pb-1 font-semibold text-ink-soft text-sm">{words.label}</legend>
      <label className="flex min-h-10 items-center gap-3 px-3">
        <input
          type="checkbox"
          checked={mails.digest}
          disabled={mails.address === undefined && !mails.digest}
          onChange={({ target }) => choose(target.checked)}
          className="size-5 accent-leaf"
        />
        <span className="grid leading-snug">
          {words.on}
          <span className="text-ink-soft text-xs">{mails.address ?? words.noAddress}</span>
        </span>
      </label>
      <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
        {failure && texts.members.failed(failure)}
      </p>
    </fieldset>
  );
}
