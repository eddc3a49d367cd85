/**
 * The Markdown of a chat, as a tree: emphasis, code, links, quotes, lists.
 *
 * It is our own for two reasons. A message is written by a stranger: what reads it must take time in proportion to
 * its length whatever it holds, and nest only so deep; general parsers promise neither. And a tree of our own
 * never was HTML, so nothing has to be cleaned.
 */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "break" }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em" | "del"; children: Inline[] }
  | { kind: "link"; href: string; children: Inline[] };

export type Block =
  | { kind: "paragraph"; children: Inline[] }
  | { kind: "heading"; children: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "quote"; children: Block[] }
  | { kind: "list"; ordered: boolean; start: number; items: Block[][] };

const DEEPEST = 4; // quotes and lists inside each other
const URL_LENGTH = 2048;

export function parse(content: string): Block[] {
  return blocks(content.replace(/\r\n?/g, "\n").split("\n"), 0);
}

/** The same without its marks, in one line, for previews. */
export function plainText(content: string): string {
  return parse(content).map(blockText).join(" ").replace(/\s+/g, " ").trim();
}

function blockText(block: Block): string {
  switch (block.kind) {
    case "code":
      return block.text;
    case "quote":
      return block.children.map(blockText).join(" ");
    case "list":
      return block.items.map((item) => item.map(blockText).join(" ")).join(" · ");
    default:
      return inlineText(block.children);
  }
}

function inlineText(children: Inline[]): string {
  return children
    .map((child) => {
      if (child.kind === "break") return " ";
      return "text" in child ? child.text : inlineText(child.children);
    })
    .join("");
}

/** The host that a link leads to, where its words look like the address of another one. */
export function hostBehind(href: string, words: Inline[]): string | null {
  const looksLike = ADDRESS.exec(inlineText(words))?.[0];
  const { hostname, host, protocol } = new URL(href);
  if (!looksLike || protocol === "mailto:") return null;
  return bare(hostOf(looksLike)) === bare(hostname) ? null : host;
}

/** The first in some words: a name with a dot or four numbers, or whatever follows a scheme. */
const ADDRESS =
  /(?<![\p{L}\p{N}.-])(?:(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}|\d+(?:\.\d+){3})|(?<=https?:\/\/)[^\s/?#]+/iu;

const bare = (hostname: string) => hostname.replace(/^www\./, "");

function hostOf(address: string): string {
  try {
    return new URL(`https://${address}`).hostname;
  } catch {
    return ""; // no host at all, though it looks like one
  }
}

// ------------------------------------------------------------------------------------------------- blocks

const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const QUOTE = /^ {0,3}> ?/;
const HEADING = /^ {0,3}#{1,6} +(.*?)[ #]*$/;
const ITEM = /^( {0,3})([-*+•]|\d{1,9}[.)]) +(?=\S)/;

function blocks(lines: string[], depth: number): Block[] {
  const found: Block[] = [];
  let paragraph: string[] = [];
  const endParagraph = () => {
    if (paragraph.length) found.push({ kind: "paragraph", children: inline(paragraph.join("\n")) });
    paragraph = [];
  };
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? "";
    const taken = takeBlock(lines, at, depth);
    if (taken) {
      endParagraph();
      found.push(taken.block);
      at = taken.next;
      continue;
    }
    if (line.trim() === "") endParagraph();
    else paragraph.push(line);
    at += 1;
  }
  endParagraph();
  return found;
}

type Taken = { block: Block; next: number };

/** The block other than a paragraph that starts at this line, if there is one. */
function takeBlock(lines: string[], at: number, depth: number): Taken | null {
  const line = lines[at] ?? "";
  const fence = FENCE.exec(line)?.[1];
  if (fence) return takeCode(lines, at, fence);
  const heading = HEADING.exec(line)?.[1];
  if (heading) return { block: { kind: "heading", children: inline(heading) }, next: at + 1 };
  if (depth >= DEEPEST) return null;
  if (QUOTE.test(line)) return takeQuote(lines, at, depth);
  if (ITEM.test(line)) return takeList(lines, at, depth);
  return null;
}

function takeCode(lines: string[], at: number, fence: string): Taken {
  const isEnd = (line: string) =>
    line.trim().startsWith(fence) && line.trim() === fence[0]?.repeat(line.trim().length);
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end] ?? "")) end += 1;
  return { block: { kind: "code", text: lines.slice(at + 1, end).join("\n") }, next: end + 1 };
}

function takeQuote(lines: string[], at: number, depth: number): Taken {
  let end = at;
  while (QUOTE.test(lines[end] ?? "")) end += 1;
  const inner = lines.slice(at, end).map((line) => line.replace(QUOTE, ""));
  return { block: { kind: "quote", children: blocks(inner, depth + 1) }, next: end };
}

function takeList(lines: string[], at: number, depth: number): Taken {
  const [, indent = "", marker = "-"] = ITEM.exec(lines[at] ?? "") ?? [];
  const ordered = /\d/.test(marker);
  const items: string[][] = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end] ?? "";
    const item = ITEM.exec(line);
    const isOurs =
      item && (item[1] ?? "").length <= indent.length + 1 && /\d/.test(item[2] ?? "") === ordered;
    if (isOurs) items.push([line.slice(item[0].length)]);
    else if (/^ {2,}\S/.test(line)) items.at(-1)?.push(line.replace(/^ {2,4}/, ""));
    else break;
  }
  const list: Block = {
    kind: "list",
    ordered,
    start: ordered ? Number.parseInt(marker, 10) : 1,
    items: items.map((item) => blocks(item, depth + 1)),
  };
  return { block: list, next: end };
}

// ------------------------------------------------------------------------------------------------- inline

type Open = { kind: "strong" | "em" | "del"; mark: string; outer: Inline[] };

const WORD = /[\p{L}\p{N}]/u;
const SPACE = /\s|^$/;
// Where something other than text may begin. A letter before rules out an address inside a word.
const SPECIAL =
  /\\[!-/:-@[-`{-~]|`+|\*+|_+|~~+|\[|\n|(?<![\p{L}\p{N}])(?:https?:\/\/|www\.)[^\s<>"`\\]{1,2048}|(?<![\p{L}\p{N}.+-])[\w.+-]{1,64}@[a-z\d-]{1,63}(?:\.[a-z\d-]{2,63}){1,4}/giu;

class Reader {
  private readonly root: Inline[] = [];
  private here = this.root;
  private readonly open: Open[] = [];
  private at = 0;
  private noMoreLinks = false;
  private readonly unclosed = new Set<number>(); // lengths of backtick runs that no later run closes

  constructor(
    private readonly text: string,
    private readonly links: boolean,
  ) {}

  read(): Inline[] {
    const special = new RegExp(SPECIAL);
    for (let found = special.exec(this.text); found; found = special.exec(this.text)) {
      this.put(this.text.slice(this.at, found.index));
      this.at = found.index;
      this.take(found[0]);
      special.lastIndex = this.at;
    }
    this.put(this.text.slice(this.at));
    while (this.open.length) this.reopen();
    return this.root;
  }

  private take(found: string): void {
    const first = found[0] ?? "";
    if (found === "\n") this.takeBreak();
    else if (first === "\\") this.takeText(found.slice(1), found.length);
    else if (first === "`") this.takeCode(found);
    else if (first === "*" || first === "_" || first === "~") this.takeMarks(found);
    else if (first === "[") this.takeLink();
    else this.takeAddress(found);
  }

  private takeText(text: string, length: number): void {
    this.put(text);
    this.at += length;
  }

  private takeBreak(): void {
    this.here.push({ kind: "break" });
    this.at += 1;
  }

  private takeCode(run: string): void {
    const start = this.at + run.length;
    const end = this.unclosed.has(run.length) ? -1 : this.endOfCode(start, run.length);
    if (end < 0) {
      this.unclosed.add(run.length);
      this.takeText(run, run.length);
      return;
    }
    const code = this.text.slice(start, end).replaceAll("\n", " ");
    this.here.push({ kind: "code", text: /^ .*\S.* $/.test(code) ? code.slice(1, -1) : code });
    this.at = end + run.length;
  }

  private endOfCode(from: number, length: number): number {
    const runs = /`+/g;
    runs.lastIndex = from;
    for (let run = runs.exec(this.text); run; run = runs.exec(this.text)) {
      if (run[0].length === length) return run.index;
    }
    return -1;
  }

  /** One, two or three stars or lines, or two tildes: each opens, closes, or is text. */
  private takeMarks(run: string): void {
    const before = [...this.text.slice(Math.max(0, this.at - 2), this.at)].at(-1) ?? "";
    const [after = ""] = this.text.slice(this.at + run.length, this.at + run.length + 2);
    const mark = run[0] ?? "";
    const kinds = kindsOf(run);
    const intraword = run === "**";
    const mayClose = !SPACE.test(before) && (intraword || !WORD.test(after));
    const mayOpen = !SPACE.test(after) && (intraword || !WORD.test(before));
    this.at += run.length;
    if (mayClose && kinds.every((kind) => this.isOpen(kind, mark))) {
      for (const kind of [...kinds].reverse()) this.close(kind);
      if (kinds.length) return;
    }
    if (mayOpen && kinds.length && kinds.every((kind) => !this.open.some((open) => open.kind === kind))) {
      for (const kind of kinds) this.begin(kind, mark.repeat(kind === "em" ? 1 : 2));
      return;
    }
    this.put(run);
  }

  private isOpen(kind: Open["kind"], mark: string): boolean {
    return this.open.some((open) => open.kind === kind && open.mark[0] === mark);
  }

  private begin(kind: Open["kind"], mark: string): void {
    this.open.push({ kind, mark, outer: this.here });
    this.here = [];
  }

  private close(kind: Open["kind"]): void {
    while (this.open.at(-1)?.kind !== kind) this.reopen();
    const open = this.open.pop();
    if (!open) return;
    open.outer.push({ kind, children: this.here });
    this.here = open.outer;
  }

  /** The innermost mark was never closed, so it was text. */
  private reopen(): void {
    const open = this.open.pop();
    if (!open) return;
    const inner = this.here;
    this.here = open.outer;
    this.put(open.mark);
    for (const child of inner) this.here.push(child);
  }

  /** `[words](address)`, where the words hold no other bracket. */
  private takeLink(): void {
    const middle = this.links && !this.noMoreLinks ? this.text.indexOf("](", this.at) : -1;
    if (middle < 0) this.noMoreLinks = true;
    const words = middle < 0 ? "" : this.text.slice(this.at + 1, middle);
    const address = words.trim() && !words.includes("[") ? addressIn(this.text, middle + 2) : null;
    const href = address && safeUrl(address.text);
    if (!address || !href) {
      this.takeText("[", 1);
      return;
    }
    this.here.push({ kind: "link", href, children: inline(words, false) });
    this.at = address.end;
  }

  private takeAddress(found: string): void {
    const address = withoutEnd(found);
    const full = address.includes("@") && !/^(https?:|www\.)/i.test(address) ? `mailto:${address}` : address;
    const href = this.links && safeUrl(/^www\./i.test(full) ? `https://${full}` : full);
    if (href) this.here.push({ kind: "link", href, children: [{ kind: "text", text: address }] });
    else this.put(address);
    this.at += address.length;
  }

  private put(text: string): void {
    if (!text) return;
    const last = this.here.at(-1);
    if (last?.kind === "text") last.text += text;
    else this.here.push({ kind: "text", text });
  }
}

function inline(text: string, links = true): Inline[] {
  return new Reader(text, links).read();
}

function kindsOf(run: string): Open["kind"][] {
  if (run === "~~") return ["del"];
  if (run[0] === "~" || run.length > 3) return [];
  return ([["em"], ["strong"], ["strong", "em"]] as const)[run.length - 1]?.slice() ?? [];
}

/** The address from here to the parenthesis that closes it. */
function addressIn(text: string, start: number): { text: string; end: number } | null {
  let depth = 0;
  for (let at = start; at < text.length && at - start <= URL_LENGTH; at += 1) {
    const character = text[at] ?? "";
    if (/[\s<>]/.test(character)) return null;
    if (character === "(") depth += 1;
    if (depth > DEEPEST) return null;
    if (character === ")" && depth === 0)
      return at > start ? { text: text.slice(start, at), end: at + 1 } : null;
    if (character === ")") depth -= 1;
  }
  return null;
}

/** An address in a sentence, without the sentence's own punctuation. */
function withoutEnd(address: string): string {
  let end = address.length;
  let surplus = address.split(")").length - address.split("(").length; // closing parentheses that none opened
  for (; end > 0; end -= 1) {
    const last = address[end - 1] ?? "";
    if (last === ")" && surplus > 0) surplus -= 1;
    else if (!/[.,:;!?'’»*_~\]}]/.test(last)) break;
  }
  return address.slice(0, end);
}

/** An address that is harmless to follow, or nothing. */
export function safeUrl(text: string): string | null {
  if (!/^(https?:\/\/|mailto:)/i.test(text)) return null;
  try {
    return new URL(text).href;
  } catch {
    return null;
  }
}
