import { useEffect, useState } from "react";
import type { NotificationLevel } from "../../lib/index.ts";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { LevelChoice } from "./LevelChoice.tsx";

interface Props {
  /** What the conversation is called. */
  title: string;
  load: () => Promise<NotificationLevel | null>;
  save: (level: NotificationLevel | null) => Promise<void>;
  onClose: () => void;
}

/** Of what one is told in one conversation. */
export default function LevelDialog({ title, load, save, onClose }: Props) {
  const [level, setLevel] = useState<NotificationLevel | null>();
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    let isWanted = true;
    load().then(
      (stored) => isWanted && setLevel(stored),
      (error) => isWanted && setFailure(reasonOf(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [load]);
  const choose = (wanted: NotificationLevel | null) => {
    setFailure(null);
    setLevel(wanted);
    save(wanted).catch((error) => {
      setFailure(reasonOf(error));
      setLevel(level);
    });
  };
  return (
    <Dialog title={texts.notifications.inRoom(title)} onClose={onClose} narrow>
      <div className="px-6 pt-2 pb-6">
        <p role="alert" className={failure ? "pb-2 text-danger text-sm" : "sr-only"}>
          {failure && texts.members.failed(failure)}
        </p>
        <LevelChoice chosen={level} hasDefault onChoose={choose} />
      </div>
    </Dialog>
  );
}
