import { type ReactNode, useMemo } from "react";
import { MentionedText } from "./Mentioned.tsx";
import { type Block, hostBehind, type Inline, parse } from "./markdown.ts";

/** A message's words as elements. Text stays text: there is no HTML on the way. */
export function Markdown({ content }: { content: string }) {
  const tree = useMemo(() => parse(content), [content]);
  return <div className="words">{renderBlocks(tree)}</div>;
}

// The trees never change, so a child's place in its parent is its name.

function renderBlocks(blocks: Block[]): ReactNode[] {
  // biome-ignore lint/suspicious/noArrayIndexKey: see above
  return blocks.map((block, place) => <BlockView key={place} block={block} />);
}

function BlockView({ block }: { block: Block }) {
  switch (block.kind) {
    case "paragraph":
      return <p dir="auto">{renderInline(block.children)}</p>;
    case "heading":
      return (
        <p dir="auto" className="font-bold">
          {renderInline(block.children)}
        </p>
      );
    case "code":
      return (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, and the keyboard must reach that
        <pre tabIndex={0}>
          <code>{block.text}</code>
        </pre>
      );
    case "quote":
      return <blockquote>{renderBlocks(block.children)}</blockquote>;
    case "list": {
      const items = block.items.map((item, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <li key={place} dir="auto">
          {renderBlocks(item)}
        </li>
      ));
      return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

function renderInline(children: Inline[]): ReactNode[] {
  // biome-ignore lint/suspicious/noArrayIndexKey: see above
  return children.map((child, place) => <InlineView key={place} child={child} />);
}

function InlineView({ child }: { child: Inline }) {
  switch (child.kind) {
    case "text":
      return <MentionedText text={child.text} />;
    case "break":
      return <br />;
    case "code":
      return <code>{child.text}</code>;
    case "link": {
      const host = hostBehind(child.href, child.children);
      return (
        <a href={child.href} title={child.href} target="_blank" rel="noopener noreferrer nofollow">
          {renderInline(child.children)}
          {host && <bdi> ({host})</bdi>}
        </a>
      );
    }
    default: {
      const Tag = child.kind;
      return <Tag>{renderInline(child.children)}</Tag>;
    }
  }
}
