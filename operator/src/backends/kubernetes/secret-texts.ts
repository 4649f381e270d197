import type { KubeObject } from "../../runtime/objects.ts";

/** Text under a key of a Secret; empty when there is none. */
export function textOf(secret: KubeObject, key: string): string {
  const data = (secret["data"] ?? {}) as Record<string, string>;
  return Buffer.from(data[key] ?? "", "base64").toString("utf8");
}

/** `data` of a Secret with these texts. */
export function encoded(texts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString("base64")]));
}
