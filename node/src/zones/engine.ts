// How a zone keeps its promise. The problem: one path tree, several consistency modes, and an answer must never claim
// more than was had. Why not one code path with flags: what "acknowledged" and "fresh" mean differs by mode, and a flag
// forgotten is a lost write. The sketch: one interface (ZoneEngine); `options.ts` turns a request's wishes and the
// zone's mode into a plan or a refusal, before anything is proposed; the engine executes the plan over the multi-Raft
// host; `receipts.ts` states what was really had. LogEngine serves strong, strong_ha and eventual with one authority.

import type { Operation } from "@nexus-federation/proto/command.ts";
import type { ZoneRule } from "@nexus-federation/proto/records.ts";
import type { RequestOptions, Response } from "@nexus-federation/proto/request.ts";

/** A request that has been routed: paths are zone paths, and this box holds a replica of the zone's log. */
export interface ZoneCall {
  rule: ZoneRule;
  /** Rule map by which it was routed. */
  epoch: number;
  options: RequestOptions;
  /** Monotonic ms after which the answer is of no use. */
  deadlineMs: number;
}

export type ZoneRead =
  | { kind: "read"; path: string; infoOnly: boolean }
  | { kind: "stat"; path: string }
  | {
      kind: "list";
      path: string;
      prefix: string;
      delimiter: string;
      limit: number;
      page: string;
      recursive: boolean;
    }
  | { kind: "lock"; path: string }
  | {
      kind: "feed";
      path: string;
      /** Events above this index. */
      afterIndex: number;
      /** Generation of the cursor; 0 = none, start from the floor. */
      generation: number;
      limit: number;
      /** Start after what is applied now. */
      fromNow: boolean;
      /** Wait that long for the first event. */
      waitMs: number;
    };

export type Done = (response: Response) => void;

/** One engine an implementation of modes. `done` is called exactly once, perhaps before the call returns. */
export interface ZoneEngine {
  mutate(call: ZoneCall, operation: Operation, done: Done): void;
  read(call: ZoneCall, read: ZoneRead, done: Done): void;
}
