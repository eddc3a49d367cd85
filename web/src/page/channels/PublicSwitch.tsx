import { texts } from "../texts/index.ts";

/** Whether anybody may find a channel, and join it. */
export function PublicSwitch(props: { isOn: boolean; onChange: (isOn: boolean) => void }) {
  return (
    <label className="flex min-h-10 cursor-pointer items-center gap-3 rounded-2xl px-2 text-left hover:bg-hover">
      <span className="min-w-0 flex-1 text-sm">{texts.channels.isPublic}</span>
      <input
        type="checkbox"
        role="switch"
        aria-checked={props.isOn}
        checked={props.isOn}
        onChange={(event) => props.onChange(event.target.checked)}
        className="relative h-6 w-11 shrink-0 cursor-pointer appearance-none rounded-full bg-line-strong transition-colors before:absolute before:top-1 before:left-1 before:size-4 before:rounded-full before:bg-raised before:transition-transform checked:bg-leaf checked:before:translate-x-5"
      />
    </label>
  );
}
