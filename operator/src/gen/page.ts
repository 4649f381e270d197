// What the generated pages of all workspaces share.

export const generatedMark = "<!-- Made by npm run gen. Do not edit. -->";

/** A pipe or a line's end would end the cell of a table. */
export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
