import { describe, expect, it } from "vitest";
import { type Block, hostBehind, type Inline, parse, plainText } from "../../src/page/messages/markdown.ts";

/** The tree as a short text: <b>, <i>, <s>, <c> for code, <a address>. */
function show(blocks: Block[]): string {
  return blocks
    .map((block) => {
      if (block.kind === "code") return `<pre>${block.text}</pre>`;
      if (block.kind === "quote") return `<q>${show(block.children)}</q>`;
      if (block.kind === "list")
        return `<${block.ordered ? `ol ${block.start}` : "ul"}>${block.items.map((i) => `<li>${show(i)}</li>`).join("")}`;
      return (block.kind === "heading" ? "<h>" : "") + showInline(block.children);
    })
    .join("|");
}

function showInline(children: Inline[]): string {
  return children
    .map((child) => {
      if (child.kind === "text") return child.text;
      if (child.kind === "break") return "<br>";
      if (child.kind === "code") return `<c>${child.text}</c>`;
      const tag = { strong: "b", em: "i", del: "s", link: "a" }[child.kind];
      return `<${tag}${child.kind === "link" ? ` ${child.href}` : ""}>${showInline(child.children)}</${tag}>`;
    })
    .join("");
}

const is = (content: string, shown: string) => expect(show(parse(content))).toBe(shown);

describe("marks", () => {
  it.each([
    ["plain text", "plain text"],
    ["one\ntwo\n\nthree", "one<br>two|three"],
    ["**bold** and *italic*, _too_, ~~gone~~", "<b>bold</b> and <i>italic</i>, <i>too</i>, <s>gone</s>"],
    ["***both***", "<b><i>both</i></b>"],
    ["**bold with *italic* inside**", "<b>bold with <i>italic</i> inside</b>"],
    ["这是**粗体**字", "这是<b>粗体</b>字"],
    ["snake_case_name and 2*3*4", "snake_case_name and 2*3*4"],
    ["a * b * c", "a * b * c"],
    ["*not closed", "*not closed"],
    ["**a *b** c", "<b>a *b</b> c"],
    ["\\*not italic\\* C:\\new", "*not italic* C:\\new"],
    ["`code *x*` and ``a ` b``", "<c>code *x*</c> and <c>a ` b</c>"],
    ["`not closed", "`not closed"],
    ["¯\\_(ツ)_/¯", "¯_(ツ)_/¯"],
  ])("%s", is);
});

describe("blocks", () => {
  it.each([
    ["```js\nlet a = '**';\n\nb\n```\nafter", "<pre>let a = '**';\n\nb</pre>|after"],
    ["```\nnever closed", "<pre>never closed</pre>"],
    ["> one\n> two\n\nmine", "<q>one<br>two</q>|mine"],
    ["> > deep", "<q><q>deep</q></q>"],
    ["- a\n- b\n  - c", "<ul><li>a</li><li>b|<ul><li>c</li></li>"],
    ["3. a\n4. b", "<ol 3><li>a</li><li>b</li>"],
    ["# Title #", "<h>Title"],
    ["-5 degrees", "-5 degrees"],
    ["2026. Good.", "<ol 2026><li>Good.</li>"],
    ["#channel", "#channel"],
  ])("%s", is);
});

describe("links", () => {
  it.each([
    ["see https://example.com/a_b_c.", "see <a https://example.com/a_b_c>https://example.com/a_b_c</a>."],
    ["(https://example.com/a(b))", "(<a https://example.com/a(b)>https://example.com/a(b)</a>)"],
    ["www.example.com!", "<a https://www.example.com/>www.example.com</a>!"],
    ["[**here**](https://example.com/x)", "<a https://example.com/x><b>here</b></a>"],
    ["a.b@example.com", "<a mailto:a.b@example.com>a.b@example.com</a>"],
    ["[x](javascript:alert(1))", "[x](javascript:alert(1))"],
    ["[x](data:text/html,x)", "[x](data:text/html,x)"],
    ["[x](/relative)", "[x](/relative)"],
    ["JaVaScRiPt:alert(1)", "JaVaScRiPt:alert(1)"],
    ["[a [b](https://example.com/)", "[a <a https://example.com/>b</a>"],
    ["**https://example.com/**", "<b><a https://example.com/>https://example.com/</a></b>"],
  ])("%s", is);
});

describe("the host behind words that look like another address", () => {
  it.each([
    ["[https://intranet.example.com](https://evil.example/x)", "evil.example"],
    ["[intranet.**example**.com/wiki](https://evil.example:8443)", "evil.example:8443"],
    ["[see http://intranet/ there](https://evil.example)", "evil.example"],
    ["[10.0.0.1](https://evil.example)", "evil.example"],
    ["https://intranet.example.com@evil.example/", "evil.example"],
    ["[еxample.com](https://example.com)", "example.com"], // its first letter is Cyrillic
    ["[https://example.com](https://еxample.com)", "xn--xample-2of.com"],
    ["[example.com](https://www.example.com/a)", null],
    ["[Example.com](https://example.com/a)", null],
    ["[https://me@example.com](https://me@example.com)", null],
    ["https://example.com/?to=elsewhere.example", null],
    ["www.example.com", null],
    ["http://localhost:3000/a", null],
    ["[here](https://example.com)", null],
    ["[v1.2, part 3](https://example.com)", null],
    ["a.b@example.com", null],
  ])("%s", (content, host) => {
    const [block] = parse(content);
    const link = block && "children" in block ? block.children[0] : undefined;
    if (!link || !("href" in link)) throw new Error("no link");
    expect(hostBehind(link.href, link.children)).toBe(host);
  });
});

describe("what strangers may write", () => {
  it("keeps HTML as the text that it is", () => {
    is("<img src=x onerror=alert(1)> <b>x</b>", "<img src=x onerror=alert(1)> <b>x</b>");
  });

  const pieces = [
    "*",
    "_",
    "**a",
    "_a*",
    "*a **b ~~c ",
    "`",
    "`a``",
    "[",
    "[a](",
    "[](",
    "](",
    "> ",
    "1. ",
    "- ",
    "~~",
    "\\",
    "(",
    "a@",
    "a@b.",
    "http://",
    "www.",
    "\n",
    "```\n",
    "#",
    "a*b_",
    "http://a)",
    "x.y@",
    "  - a\n",
  ];
  it.each(pieces)("takes no longer for 8,000 characters of %j than a reader notices", (piece) => {
    const content = piece.repeat(Math.ceil(8000 / piece.length)).slice(0, 8000);
    // The best of some: the machine may be busy with something else.
    const times = [1, 2, 3, 4, 5].map(() => {
      const start = performance.now();
      parse(content);
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(60);
    expect(depth(parse(content))).toBeLessThan(20);
  });
});

function depth(node: unknown): number {
  if (Array.isArray(node)) return Math.max(0, ...node.map(depth));
  if (typeof node !== "object" || node === null) return 0;
  return 1 + Math.max(0, ...Object.values(node).map(depth));
}

describe("previews", () => {
  it("leaves the marks out", () => {
    expect(plainText("**Hello** `you`\n\n- one\n- [two](https://example.com)")).toBe("Hello you one · two");
  });
});
