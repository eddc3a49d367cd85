import { useState } from "react";
import { PeoplePicker, type Person } from "../conversations/PeoplePicker.tsx";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import type { Actions } from "./actions.ts";

const words = texts.members;

/** Bring people into a conversation. */
export function AddPeople(props: { actions: Actions; without: string[]; onClose: () => void }) {
  const { actions, without, onClose } = props;
  const [picked, setPicked] = useState<Person[]>([]);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const submit = async () => {
    setBusy(true);
    try {
      await actions.add(picked.map((person) => person.userId));
      onClose();
    } catch (error) {
      setFailure(words.failed(reasonOf(error)));
      setBusy(false);
    }
  };
  return (
    <Dialog title={words.add} onClose={onClose}>
      <div className="grid min-h-0 gap-3 overflow-y-auto px-6 pt-3 pb-4">
        <PeoplePicker search={actions.search} picked={picked} onChange={setPicked} without={without} />
        <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
          {failure}
        </p>
      </div>
      <footer className="flex justify-end gap-2 border-line border-t px-6 py-4">
        <Button onClick={onClose}>{words.cancel}</Button>
        <Button look="primary" disabled={isBusy || picked.length === 0} onClick={submit}>
          {words.addSubmit}
        </Button>
      </footer>
    </Dialog>
  );
}
