/**
 * The code in documents: fenced blocks of Markdown files and of JSDoc.
 *
 * @module
 */

/** A fenced block. */
export interface CodeBlock {
  /** What stands behind the fence: "sh", "ts ignore". */
  readonly info: string;
  /** The lines between the fences. */
  readonly text: string;
  /** Line number of the first of them. */
  readonly line: number;
  /** Whether nothing but white space is between it and the block before. */
  readonly followsBlock: boolean;
}

/**
 * The fenced blocks of a Markdown text, in order.
 *
 * @throws {Error} when a fence is not closed
 */
export function codeBlocks(markdown: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  const lines = markdown.split("\n");
  let followsBlock = false;
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)```(.*)$/.exec(lines[i]);
    if (!fence) {
      if (lines[i].trim() !== "") followsBlock = false;
      continue;
    }
    const [, indent, info] = fence;
    const end = lines.indexOf(`${indent}\`\`\``, i + 1);
    if (end < 0) throw new Error(`the block of line ${i + 1} has no end`);
    blocks.push({
      info: info.trim(),
      text: lines.slice(i + 1, end).map((l) => l.slice(indent.length))
        .join("\n"),
      line: i + 2,
      followsBlock,
    });
    followsBlock = true;
    i = end;
  }
  return blocks;
}

/** The fenced blocks of a source's JSDoc comments, in order. */
export function jsdocBlocks(source: string): CodeBlock[] {
  const comments = source.split("\n").map((line) =>
    /^ *\*( |$)/.test(line) ? line.replace(/^ *\* ?/, "") : ""
  );
  return codeBlocks(comments.join("\n"));
}

/** The file that a block says it is: its first line is a comment with a name. */
export function fileNameOf(block: CodeBlock): string | undefined {
  return /^(?:\/\/|\/\*) ([\w-]+\.\w+)(?: \*\/)?$/
    .exec(block.text.split("\n")[0])?.[1];
}
