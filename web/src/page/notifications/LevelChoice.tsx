import type { NotificationLevel } from "../../lib/index.ts";
import { texts } from "../texts/index.ts";

const words = texts.notifications.levels;
const LEVELS = ["all", "mentions", "nothing"] as const;

interface Props<Chosen> {
  chosen: Chosen | undefined;
  /** One may also want what is chosen in general. */
  hasDefault?: boolean;
  onChoose: (level: Chosen) => void;
}

/** Of what one is told; while that is not known, nothing is chosen and nothing can be: it would be lost, or undone. */
export function LevelChoice<Chosen extends NotificationLevel | null>(props: Props<Chosen>) {
  const { chosen, hasDefault = false, onChoose } = props;
  const levels = [...(hasDefault ? [null] : []), ...LEVELS];
  return (
    <fieldset disabled={chosen === undefined}>
      <legend className="pb-1 font-semibold text-ink-soft text-sm">{words.label}</legend>
      <div className="grid gap-0.5">
        {levels.map((level) => {
          const { name, hint } = words[level ?? "general"];
          return (
            <label
              key={level}
              className="relative flex min-h-11 items-center gap-3 rounded-2xl px-3 py-1.5 hover:bg-hover has-checked:bg-leaf-soft has-focus-visible:outline-2 has-focus-visible:outline-leaf"
            >
              <input
                type="radio"
                name="level"
                checked={chosen === level}
                onChange={() => onChoose(level as Chosen)}
                className="absolute inset-0 cursor-pointer appearance-none outline-none"
              />
              <span className="grid leading-snug">
                {name}
                <span className="text-ink-soft text-xs">{hint}</span>
              </span>
            </label>
          );
        })}
      </div>
    </fieldset>
  );
}
