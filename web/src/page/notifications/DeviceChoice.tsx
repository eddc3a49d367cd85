import { useState } from "react";
import { texts } from "../texts/index.ts";
import type { PushDevice } from "./push.ts";

const words = texts.notifications.device;

/** Whether this device is told while no page is open, and whether it shows the words. */
export function DeviceChoice({ device }: { device: PushDevice }) {
  const { state, failure, set } = device;
  const [preview, setPreview] = useState(device.hasPreview);
  if (state === null || state === "unavailable") return null;
  const isOn = state === "on";
  const isPossible = isOn || state === "off";
  return (
    <fieldset className="grid gap-1">
      <legend className="pb-1 font-semibold text-ink-soft text-sm">{words.label}</legend>
      <label className="flex min-h-10 items-center gap-3 px-3">
        <input
          type="checkbox"
          checked={isOn}
          disabled={!isPossible}
          onChange={({ target }) => set(target.checked, preview)}
          className="size-5 accent-leaf"
        />
        <span className="grid leading-snug">
          {words.on}
          {!isPossible && (
            <span className="text-ink-soft text-xs">
              {state === "denied" ? texts.notifications.blocked : words.unsupported}
            </span>
          )}
        </span>
      </label>
      {isOn && (
        <label className="flex min-h-10 items-center gap-3 px-3">
          <input
            type="checkbox"
            checked={preview}
            onChange={({ target }) => {
              setPreview(target.checked);
              set(true, target.checked);
            }}
            className="size-5 accent-leaf"
          />
          {words.preview}
        </label>
      )}
      <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
        {failure && texts.members.failed(failure)}
      </p>
    </fieldset>
  );
}
