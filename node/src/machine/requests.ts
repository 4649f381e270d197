import { type Command, Reply } from "@nexus-federation/proto/command.ts";
import { assert } from "../base/assert.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { errorKinds, type Refusal, refuse } from "../base/errors.ts";
import { show } from "../tree/path.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { decodeEntry, rootEntry } from "./entry.ts";
import type { Done } from "./files.ts";
import { requestKey, requestOrderKey } from "./keys.ts";
import { grantOf, holderOf, readLock } from "./lock-record.ts";
import { doneReply, failureReply } from "./replies.ts";
import type { MachineState } from "./state.ts";

// How an answer is remembered. A lock's answer is a reference: a retry is told what the lock's state says now, so it
// never gets a grant that has expired.
const asReply = 0;
const asDone = 1;
const asLock = 2;

export type Remembered = { reply: Reply } | { done: Done } | { lockPath: string; lockId: Uint8Array };

/** Bytes that a remembered request costs beside its answer: two keys, its id and its numbers. */
const overheadBytes = 64;
const writer = new ByteWriter();

/** What a command whose request id is known, too old or malformed is answered; undefined = it may run. */
export function answerOf(state: MachineState, command: Command): Reply | undefined {
  const { requestId, requestTimeMs } = command;
  if (requestId.length === 0) return undefined;
  if (requestId.length !== 16) return failureReply(refuse("INVALID", `requestId: 16 bytes, ${requestId.length} came`));
  const mayBeKnown = state.requests.mayHave(requestId, state.counters.requestFirst);
  const known = mayBeKnown ? state.overlay.get(requestKey(requestId)) : undefined;
  if (known) return recall(state, known);
  const { requestWindowMs, requestAheadMsMax } = state.limits;
  if (requestTimeMs < state.logTimeMs - requestWindowMs) {
    const text = `the request is of log time ${requestTimeMs}, now is ${state.logTimeMs}: older than ${requestWindowMs} ms; it was not executed`;
    return failureReply(refuse("EXPIRED", text));
  }
  if (requestTimeMs > state.logTimeMs + requestAheadMsMax) {
    const text = `requestTimeMs: ${requestTimeMs} lies ahead of the log's ${state.logTimeMs}; use the log time of an answer`;
    return failureReply(refuse("INVALID", text));
  }
  return undefined;
}

/** OVERLOADED when the table has no room for one more. */
export function checkRoom(state: MachineState): Refusal | undefined {
  const { counters, limits } = state;
  const count = counters.requestNext - counters.requestFirst;
  if (count < limits.requestsMax && counters.requestBytes < limits.requestBytesMax) return undefined;
  const oldest = oldestRequest(state);
  const freeAt = (oldest?.timeMs ?? 0) + limits.requestWindowMs + limits.requestAheadMsMax;
  const text = `${count} requests of the last minutes are remembered, which is the most; retry later`;
  return refuse("OVERLOADED", text, { retryAfterMs: Math.max(1000, freeAt - counters.requestClockMs) });
}

export function remember(state: MachineState, requestId: Uint8Array, answer: Remembered): void {
  const { counters, overlay } = state;
  const value = encodeAnswer(answer);
  overlay.put(requestKey(requestId), value);
  const size = value.length + overheadBytes;
  const order = writer.reset().varint(counters.requestClockMs).varint(size).bytes(requestId).finish();
  state.requests.add(requestId, counters.requestNext);
  overlay.put(requestOrderKey(counters.requestNext++), order);
  counters.requestBytes += size;
}

/**
 * Before the log's time becomes `logTimeMs`. A leader's clock that jumps by an hour must not forget at once what was
 * executed a second ago: however far the time moves with one command, requests age by a minute at most.
 */
export function ageRequests({ counters, limits }: MachineState, logTimeMs: number): void {
  const stepMs = Math.min(logTimeMs - counters.logTimeMs, limits.requestStepMsMax);
  counters.requestClockMs = counters.requestClockMs === 0 ? logTimeMs : counters.requestClockMs + stepMs;
}

/** A refusal that may turn into success without any change by the caller is not remembered: nothing was executed. */
export function isWorthRemembering(refusal: Refusal): boolean {
  return !errorKinds[refusal.code].retryable;
}

/**
 * Forgets a few of those past their time. A request is remembered for the window plus how far its own time may lie
 * ahead of the log's: so whatever is forgotten is too old to be accepted.
 */
export function forgetOld(state: MachineState): void {
  const { counters, limits, overlay } = state;
  const before = counters.requestClockMs - limits.requestWindowMs - limits.requestAheadMsMax;
  if (before <= 0) return;
  for (let i = 0; i < limits.requestsForgottenPerApply; i++) {
    if (state.oldestRequestMs !== undefined && state.oldestRequestMs >= before) return;
    const oldest = oldestRequest(state);
    state.oldestRequestMs = oldest?.timeMs;
    if (!oldest || oldest.timeMs >= before) return;
    state.oldestRequestMs = undefined;
    overlay.delete(requestKey(oldest.id));
    overlay.delete(requestOrderKey(counters.requestFirst++));
    counters.requestBytes -= oldest.size;
  }
}

function oldestRequest(state: MachineState): { timeMs: number; size: number; id: Uint8Array } | undefined {
  const { counters } = state;
  if (counters.requestFirst === counters.requestNext) return undefined;
  const bytes = state.overlay.get(requestOrderKey(counters.requestFirst));
  assert(bytes, "every sequence in the window of requests is stored");
  const reader = new ByteReader(bytes);
  return { timeMs: reader.varint(), size: reader.varint(), id: reader.bytes() };
}

function encodeAnswer(answer: Remembered): Uint8Array {
  writer.reset();
  if ("done" in answer) {
    const { path, bytes, existed } = answer.done;
    return writer
      .byte(asDone)
      .byte(existed ? 1 : 0)
      .text(path)
      .bytes(bytes)
      .finish();
  }
  if ("reply" in answer) return writer.byte(asReply).bytes(Reply.encode(answer.reply).finish()).finish();
  return writer.byte(asLock).bytes(answer.lockId).text(answer.lockPath).finish();
}

function recall(state: MachineState, bytes: Uint8Array): Reply {
  const reader = new ByteReader(bytes);
  const kind = reader.byte();
  if (kind === asReply) return Reply.decode(reader.bytes());
  if (kind === asDone) {
    const existed = reader.byte() === 1;
    const path = reader.text();
    const stored = reader.bytes();
    // mkdir with parents may have answered with the root, which has no stored entry.
    const entry = stored.length > 0 ? decodeEntry(stored) : rootEntry;
    return doneReply({ path, existed, bytes: stored, entry }, state.generation);
  }
  assert(kind === asLock, "a remembered answer has a known kind");
  const lockId = reader.bytes();
  return lockReply(state, reader.text(), lockId);
}

function lockReply(state: MachineState, path: string, lockId: Uint8Array): Reply {
  const lock = readLock(state, path);
  const holder = holderOf(lock, lockId);
  if (holder) return { result: { $case: "grant", value: grantOf(holder, path) } };
  const place = lock?.waiters.findIndex((waiter) => equalBytes(waiter.waiterId, lockId)) ?? -1;
  if (place >= 0) return { result: { $case: "waiting", value: { waiterId: asBuffer(lockId), position: place + 1 } } };
  return failureReply(
    refuse("EXPIRED", `the grant or wait of this request for ${show(path)} has ended; send a new request`),
  );
}
