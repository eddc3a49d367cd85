/** What a notification says, in the device's language. Apart from the page's texts: the worker loads nothing else. */

const en = {
  fresh: "New message",
  message: (sender: string, room: string) => `${sender} in ${room}`,
  mention: (sender: string, room: string) => `${sender} mentioned you in ${room}`,
  mentioned: (sender: string) => `${sender} mentioned you`,
  added: (room: string) => `You were added to ${room}`,
  conversation: "a conversation",
  somebody: "Somebody",
  more: (count: number) => `and ${count} more`,
};

const fr: typeof en = {
  fresh: "Nouveau message",
  message: (sender, room) => `${sender} dans ${room}`,
  mention: (sender, room) => `${sender} vous a mentionné dans ${room}`,
  mentioned: (sender) => `${sender} vous a mentionné`,
  added: (room) => `Vous êtes maintenant dans ${room}`,
  conversation: "une conversation",
  somebody: "Quelqu’un",
  more: (count) => `et ${count} de plus`,
};

const spoken: Record<string, typeof en> = { en, fr };

/** The first of the wanted languages that we speak. */
export function textsFor(wanted: readonly string[]): typeof en {
  return wanted.map((tag) => spoken[tag.slice(0, 2).toLowerCase()]).find(Boolean) ?? en;
}
