import { type Command, Reply } from "@nexus-federation/proto/command.ts";
import { assert } from "../base/assert.ts";
import { asBuffer, equalBytes } from "../base/bytes.ts";
import { errorKinds, type Refusal, refuse } from "../base/errors.ts";
import { show } from "../tree/path.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { decodeEntry, rootEntry } from "./entry.ts";
import { storedEvent } from "./event.ts";
import type { Done } from "./files.ts";
import type { Row } from "./journal-rows.ts";
import { grantOf, holderOf, readLock } from "./lock-record.ts";
import { doneReply, failureReply } from "./replies.ts";
import type { MachineState } from "./state.ts";

// How an answer is remembered. A lock's answer is a reference: a retry is told what the lock's state says now, so it
// never gets a grant that has expired.
const asReply = 0;
const asDone = 1;
const asLock = 2;
/** As asDone, with the path and the entry of the event beside it. */
const asEvent = 3;

export type Remembered = { reply: Reply } | { done: Done } | { lockPath: string; lockId: Uint8Array };

const newAsEvent = Uint8Array.of(asEvent, 0);
const existedAsEvent = Uint8Array.of(asEvent, 1);
const writer = new ByteWriter();

/** What a command whose request id is known, too old or malformed is answered; undefined = it may run. */
export function answerOf(state: MachineState, command: Command): Reply | undefined {
  const { requestId, requestTimeMs } = command;
  if (requestId.length === 0) return undefined;
  if (requestId.length !== 16) return failureReply(refuse("INVALID", `requestId: 16 bytes, ${requestId.length} came`));
  const { requestWindowMs, requestAheadMsMax } = state.limits;
  const found = state.journal.find(requestId);
  const known = found && found.clockMs >= oldestMs(state) ? found : undefined;
  if (known) {
    const reply = recall(state, known);
    // A lock's answer is of this moment: it may have been granted long after it was asked for.
    return isOfLock(known) ? reply : { ...reply, executedAt: known.index };
  }
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
  const count = counters.requestCount;
  if (count < limits.requestsMax && counters.requestBytes < limits.requestBytesMax) return undefined;
  const freeAt = (state.journal.oldestMs ?? 0) + limits.requestWindowMs + limits.requestAheadMsMax;
  const text = `${count} requests of the last minutes are remembered, which is the most; retry later`;
  return refuse("OVERLOADED", text, { retryAfterMs: Math.max(1000, freeAt - counters.requestClockMs) });
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
 * Where the requests' clock stood at the oldest request that is remembered. A request is remembered for the window plus
 * how far its own time may lie ahead of the log's: so whatever is forgotten is too old to be accepted.
 */
function oldestMs({ counters, limits }: MachineState): number {
  return counters.requestClockMs - limits.requestWindowMs - limits.requestAheadMsMax;
}

/** Gives room to what is past its time. `index`: of the entry being applied. */
export function forgetOld(state: MachineState, index: number): void {
  const before = oldestMs(state);
  if (before > 0) state.journal.forget(before, index);
}

/** The answer as the journal keeps it. */
export function encodeAnswer({ firstEvent }: MachineState, answer: Remembered): Uint8Array {
  writer.reset();
  if ("done" in answer) {
    const { path, bytes, existed } = answer.done;
    if (firstEvent !== undefined && firstEvent.entry === bytes && firstEvent.path === path) {
      return existed ? existedAsEvent : newAsEvent;
    }
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

function isOfLock({ request }: Row): boolean {
  return request?.answer[0] === asLock;
}

function recall(state: MachineState, { request, event }: Row): Reply {
  assert(request, "a known request has its answer");
  const reader = new ByteReader(request.answer);
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
  if (kind === asEvent) {
    assert(event, "an answer that is told by an event has it beside it");
    const { path, entry } = storedEvent(event);
    assert(entry, "such an event has an entry");
    return doneReply({ path, existed: reader.byte() === 1, bytes: entry, entry: decodeEntry(entry) }, state.generation);
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
