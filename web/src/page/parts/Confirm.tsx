import { useState } from "react";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { Button } from "./buttons.tsx";
import { Dialog } from "./Dialog.tsx";

interface Props {
  title: string;
  question: string;
  submit: string;
  /** Rejects with the reason in words. */
  action: () => Promise<void>;
  onClose: () => void;
}

/** A question before something that cannot be taken back. */
export function Confirm({ title, question, submit, action, onClose }: Props) {
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const confirm = async () => {
    setBusy(true);
    try {
      await action();
      onClose();
    } catch (error) {
      setFailure(texts.members.failed(reasonOf(error)));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose} narrow>
      <div className="grid gap-5 px-6 pt-2 pb-6">
        <p className="text-ink-soft [overflow-wrap:anywhere]">{question}</p>
        <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{texts.members.cancel}</Button>
          <Button look="danger" disabled={isBusy} onClick={confirm}>
            {submit}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}
