import { RequestFrame, ResponseFrame } from "@nexus-federation/proto/request.ts";
import { expect, test } from "vitest";
import { refuse } from "../base/errors.ts";
import { VirtualClock } from "../group/testing/virtual-clock.ts";
import type { LinkHandler, PeerNetwork, Remote } from "../transport/ports.ts";
import { refusal } from "../zones/answers.ts";
import { noOptions } from "./ask.ts";
import { ForwardLinks } from "./forward-link.ts";
import type { ForwardOutcome } from "./ports.ts";

/** A box so far away that answers everything, in order, until it hangs; requests take it `workMs` more than questions. */
function farBox(roundTripMs: number, workMs = 0) {
  const clock = new VirtualClock();
  const state = { hangs: false };
  let link: LinkHandler | undefined;
  const remote: Remote = { box: "far", incarnation: Buffer.alloc(16), featureLevel: 1, version: "" };
  const network = {
    onLink: (_: string, handler: LinkHandler) => {
      link = handler;
    },
    onServe: () => {},
    isUp: () => true,
    send: (_service: string, _box: string, bytes: Uint8Array) => {
      if (state.hangs) return true;
      for (const { id, op } of RequestFrame.decode(bytes).requests) {
        const response = refusal(refuse("NOT_FOUND", "nothing here"));
        const frame = ResponseFrame.encode({ responses: [{ ...response, id }] }).finish();
        const workedMs = op?.$case === "hasChunks" ? 0 : workMs;
        clock.after(roundTripMs + workedMs, () => link?.frame(remote, frame));
      }
      return true;
    },
  } as unknown as PeerNetwork;
  const links = new ForwardLinks({ network, clock, serve: () => {}, admit: () => undefined });
  const send = () => {
    const request = {
      id: 0,
      options: noOptions,
      zone: "",
      op: { $case: "readMap" as const, value: { knownEpoch: 0, knownRevision: 0 } },
    };
    const fromMs = clock.now();
    return new Promise<{ kind: ForwardOutcome["kind"]; ms: number }>((resolve) =>
      links.send("far", request, 10_000, ({ kind }) => resolve({ kind, ms: clock.now() - fromMs })),
    );
  };
  return { clock, state, links, send };
}

async function outcome<T>(clock: VirtualClock, promise: Promise<T>): Promise<T> {
  let value: { it: T } | undefined;
  void promise.then((it) => {
    value = { it };
  });
  for (let ms = 0; value === undefined && ms < 20_000; ms++) await clock.run(1);
  return value!.it;
}

test.each([1, 80, 180, 300])("a box %i ms away answers every request, the first one too", async (roundTripMs) => {
  const { clock, send, links } = farBox(roundTripMs, 30);

  for (let i = 0; i < 5; i++) {
    const sent = send();
    await clock.run(10);
    links.doubt("far");
    expect((await outcome(clock, sent)).kind).toBe("answer");
  }
});

test.each([1, 80, 300])("what a box %i ms away owes is broken soon after it hangs", async (roundTripMs) => {
  const { clock, state, send } = farBox(roundTripMs);
  await outcome(clock, send());
  await clock.run(5_000);
  state.hangs = true;

  const { kind, ms } = await outcome(clock, send());

  expect(kind).toBe("broken");
  expect(ms).toBeLessThan(280 + 2 * roundTripMs);
});

test("a box that hung is known for as near as it was", async () => {
  const { clock, state, send, links } = farBox(1);
  await outcome(clock, send());
  for (let i = 0; i < 5; i++) {
    state.hangs = true;
    expect((await outcome(clock, send())).ms).toBeLessThan(280);
    await clock.run(3_000);
    state.hangs = false;
    for (let ms = 0; !links.isUp("far") && ms < 2_000; ms++) await clock.run(1);
    expect((await outcome(clock, send())).kind).toBe("answer");
  }
});
