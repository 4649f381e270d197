// How things look to people. One form for every verb.
import type { FileInfo } from "@nexus-federation/proto/records.ts";

export function fileTable(entries: FileInfo[], withPath: boolean): string {
  return table(
    entries.map((info) => [
      info.type === "directory" ? "d" : info.type === "mount" ? "m" : "-",
      info.unavailable ? "?" : String(info.size),
      info.unavailable ? "unavailable" : info.modifiedMs ? new Date(info.modifiedMs).toISOString().slice(0, 19) : "",
      `${oneLine(withPath ? info.path : info.name)}${info.type === "directory" ? "/" : ""}`,
    ]),
    { right: [1] },
  );
}

/** "1 file", "2 files". */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A name in one line: control characters of whoever named the file do not reach the terminal. */
export function oneLine(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return name.replace(/[\x00-\x1f\x7f-\x9f]/g, (char) => JSON.stringify(char).slice(1, -1));
}

/** Columns padded to their widest cell. */
export function table(rows: string[][], options: { head?: string[]; right?: number[] } = {}): string {
  const all = options.head ? [options.head, ...rows] : rows;
  const widths: number[] = [];
  for (const row of all) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return all
    .map((row) =>
      row
        .map((cell, i) => (options.right?.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
