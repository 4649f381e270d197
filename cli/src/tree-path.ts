// Paths as people type them, with a slash behind a folder's name; the tree itself knows no such slash.
import { UsageError } from "./durations.ts";

/** `/a/` is `/a`. */
export function folderPath(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** `/a/` takes what comes under its own name; `name` is empty when it has none. */
export function intoFolder(path: string, name: string): string {
  if (!path.endsWith("/")) return path;
  if (name === "") throw new UsageError(`${path}: a folder; what comes from stdin needs a name behind it`);
  return `${path}${name}`;
}
