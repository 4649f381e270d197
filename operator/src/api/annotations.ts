// Intents that are not spec: annotations, so that a sync from Git does not revert them. They count while they are there
// with any value but "false".
import { apiGroup } from "./kinds.ts";

/** On a Box: it hands over what it leads and takes no leadership. */
export const drainAnnotation = `${apiGroup}/drain`;
/** On a Box: it is stopped at once and kept stopped, whatever it leads. */
export const fenceAnnotation = `${apiGroup}/fence`;
/** On a Box: it hands over and is stopped; its volume stays. Refused below a majority unless all members hibernate. */
export const hibernateAnnotation = `${apiGroup}/hibernate`;
/** On any object: the operator changes nothing about it; on the Federation: about anything. */
export const pauseAnnotation = `${apiGroup}/pause`;
/** On a Box: consent to a new disk instead of the volume with this uid. */
export const replaceVolumeAnnotation = `${apiGroup}/replace-volume`;
/** On a Box that is to be deleted: its own name. */
export const confirmDeleteAnnotation = `${apiGroup}/confirm-delete`;
/**
 * On the Secret of the authority: another one takes its place, step by step. `introduce`: both are trusted and it stays
 * so; any other value: to the end, where the annotation is taken off.
 */
export const rotateAuthorityAnnotation = `${apiGroup}/rotate-authority`;

export const intents = [drainAnnotation, fenceAnnotation, hibernateAnnotation, pauseAnnotation] as const;

export function isAsked(annotations: Readonly<Record<string, string>> | undefined, name: string): boolean {
  const value = annotations?.[name];
  return value !== undefined && value !== "false";
}
