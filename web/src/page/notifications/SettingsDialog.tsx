import { useEffect, useId, useState } from "react";
import type { Day, Mails, NotificationSettings } from "../../lib/index.ts";
import { Button } from "../parts/buttons.tsx";
import { Dialog } from "../parts/Dialog.tsx";
import { texts } from "../texts/index.ts";
import { reasonOf } from "../texts/reason.ts";
import { DeviceChoice } from "./DeviceChoice.tsx";
import { LevelChoice } from "./LevelChoice.tsx";
import { MailChoice } from "./MailChoice.tsx";
import type { PushDevice } from "./push.ts";

const words = texts.notifications;
const DAYS: readonly Day[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const NIGHT = { from: "22:00", to: "07:00" };

interface Props {
  load: () => Promise<NotificationSettings>;
  save: (settings: NotificationSettings) => Promise<void>;
  loadMails: () => Promise<Mails>;
  saveMails: (wanted: Pick<Mails, "digest" | "language">) => Promise<Mails>;
  device: PushDevice;
  onClose: () => void;
}

/** Of what one is told, when not, and whether on this device while no page is open. */
export default function SettingsDialog(props: Props) {
  const { load, save, loadMails, saveMails, device, onClose } = props;
  const [settings, setSettings] = useState<NotificationSettings | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    let isWanted = true;
    load().then(
      (stored) => isWanted && setSettings(stored),
      (error) => isWanted && setFailure(reasonOf(error)),
    );
    return () => {
      isWanted = false;
    };
  }, [load]);
  const submit = () => {
    if (!settings) return;
    setFailure(null);
    save(settings).then(onClose, (error) => setFailure(reasonOf(error)));
  };
  return (
    <Dialog title={words.settings} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
        className="grid min-h-0 gap-4 overflow-y-auto px-6 pt-2 pb-6"
      >
        <LevelChoice
          chosen={settings?.level}
          onChoose={(level) => settings && setSettings({ ...settings, level })}
        />
        {settings && (
          <QuietHours
            quiet={settings.doNotDisturb}
            onChange={(doNotDisturb) => setSettings({ ...settings, doNotDisturb })}
          />
        )}
        <DeviceChoice device={device} />
        <MailChoice load={loadMails} save={saveMails} />
        <p role="alert" className={failure ? "text-danger text-sm" : "sr-only"}>
          {failure && texts.members.failed(failure)}
        </p>
        <Button type="submit" look="primary" disabled={!settings} className="justify-self-end">
          {words.save}
        </Button>
      </form>
    </Dialog>
  );
}

type Quiet = NotificationSettings["doNotDisturb"];

function QuietHours({ quiet, onChange }: { quiet: Quiet; onChange: (quiet: Quiet) => void }) {
  const hintId = useId();
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const change = (part: Partial<NonNullable<Quiet>>) => quiet && onChange({ ...quiet, ...part });
  const toggle = (day: Day) => {
    const days = DAYS.filter((one) => (one === day) !== quiet?.days.includes(one));
    if (days.length) change({ days });
  };
  return (
    <fieldset className="grid gap-2">
      <legend className="pb-1 font-semibold text-ink-soft text-sm">{words.quiet.label}</legend>
      <label className="flex min-h-10 items-center gap-3 px-3">
        <input
          type="checkbox"
          checked={quiet !== null}
          aria-describedby={hintId}
          onChange={({ target }) =>
            onChange(target.checked ? { ...NIGHT, timeZone: here, days: [...DAYS] } : null)
          }
          className="size-5 accent-leaf"
        />
        <span className="grid leading-snug">
          {words.quiet.on}
          <span id={hintId} className="text-ink-soft text-xs">
            {words.quiet.hint}
          </span>
        </span>
      </label>
      {quiet && (
        <div className="grid gap-2 px-3">
          <div className="flex flex-wrap items-center gap-3">
            <Time label={words.quiet.from} value={quiet.from} onChange={(from) => change({ from })} />
            <Time label={words.quiet.to} value={quiet.to} onChange={(to) => change({ to })} />
            <span className="text-ink-soft text-sm">{quiet.timeZone}</span>
          </div>
          <fieldset className="flex flex-wrap gap-1">
            <legend className="sr-only">{words.quiet.days}</legend>
            {DAYS.map((day) => (
              <label
                key={day}
                className="relative grid min-h-9 min-w-11 place-items-center rounded-full bg-hover px-2 text-sm has-checked:bg-leaf-soft has-checked:font-semibold has-focus-visible:outline-2 has-focus-visible:outline-leaf"
              >
                <input
                  type="checkbox"
                  checked={quiet.days.includes(day)}
                  onChange={() => toggle(day)}
                  className="absolute inset-0 cursor-pointer appearance-none outline-none"
                />
                {words.quiet.day[day]}
              </label>
            ))}
          </fieldset>
        </div>
      )}
    </fieldset>
  );
}

function Time(props: { label: string; value: string; onChange: (value: string) => void }) {
  const { label, value, onChange } = props;
  return (
    <label className="flex items-center gap-2 text-sm">
      {label}
      <input
        type="time"
        required
        value={value}
        onChange={(event) => event.target.value && onChange(event.target.value)}
        className="min-h-10 rounded-xl border border-line-strong bg-surface px-2"
      />
    </label>
  );
}
