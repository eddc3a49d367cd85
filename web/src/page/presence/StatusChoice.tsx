import type { MyPresence } from "../../lib/index.ts";
import { texts } from "../texts/index.ts";
import { Dot } from "./Dot.tsx";

const words = texts.presence;
const CHOICES: readonly MyPresence[] = ["online", "away", "busy", "invisible"];

/** How one wants to be seen. */
export function StatusChoice(props: { chosen: MyPresence; onChoose: (status: MyPresence) => void }) {
  const { chosen, onChoose } = props;
  return (
    <fieldset className="px-1 pt-2 pb-1">
      <legend className="float-left w-full px-2 pb-1 font-semibold text-ink-soft text-sm">
        {words.label}
      </legend>
      <div className="clear-both grid gap-0.5">
        {CHOICES.map((status) => (
          <label
            key={status}
            className="relative flex min-h-10 items-center gap-3 rounded-2xl px-2.5 py-1.5 hover:bg-hover has-checked:bg-leaf-soft has-focus-visible:outline-2 has-focus-visible:outline-leaf"
          >
            <input
              type="radio"
              name="presence"
              value={status}
              checked={chosen === status}
              onChange={() => onChoose(status)}
              className="absolute inset-0 cursor-pointer appearance-none outline-none"
            />
            <Dot status={status} />
            <span className="grid leading-snug">
              {words[status]}
              {status !== "online" && <span className="text-ink-soft text-xs">{words.hint[status]}</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
