// From one certificate authority to the next while everything runs: a step is taken when every box that may run has
// shown, in a handshake, that it has what the step before gave it. Nothing here waits: each round looks again.
import { acceptsEachOther } from "@nexus-federation/node/transport/box-probe.ts";
import { rotateAuthorityAnnotation } from "../../api/annotations.ts";
import type { ObservedWorkload } from "../../planner/observed.ts";
import type { EventSink, Log } from "../../runtime/api.ts";
import type { KubeObject } from "../../runtime/objects.ts";
import type { Trust } from "./authority-store.ts";
import type { Identities } from "./identities.ts";
import { authorityName, certificateName } from "./names.ts";
import type { NamespaceView } from "./view.ts";

/** Between two looks at all boxes, ms. */
const lookEveryMs = 2_000;
/** Boxes that a message names. */
const namedMax = 5;

export interface RotationNeeds {
  identities: Identities;
  federation: string;
  /** Monotonic ms. */
  now: () => number;
  events: EventSink;
  log: Log;
  probe?: typeof acceptsEachOther;
}

export class AuthorityRotation {
  readonly #needs: RotationNeeds;
  #nextMs = 0;
  #waitedFor = "";

  constructor(needs: RotationNeeds) {
    this.#needs = needs;
  }

  /** One step, when it is asked for and everybody is ready for it. The annotation on the authority's Secret asks. */
  async round(view: NamespaceView, workloads: ReadonlyMap<string, ObservedWorkload>): Promise<void> {
    const secret = view.secrets.get(authorityName);
    const asked = secret?.metadata.annotations?.[rotateAuthorityAnnotation];
    const { authority } = this.#needs.identities;
    if (secret === undefined) return this.#restore();
    if (asked === undefined && authority.phase === "steady") return;
    const trust = await authority.open();
    if (trust.phase === "steady") {
      if (asked === "false") return;
      await authority.introduce();
      return this.#did(secret, "Introduced", "A second certificate authority is trusted beside the first.");
    }
    if (this.#needs.now() < this.#nextMs) return;
    this.#nextMs = this.#needs.now() + lookEveryMs;
    if (trust.phase === "introduced" && asked === "introduce")
      return this.#waits(secret, "Both authorities stay trusted until the annotation says finish.");
    const late = await this.#late(trust, workloads, view);
    if (late.length > 0) return this.#waits(secret, `Not taken up yet by ${late.slice(0, namedMax).join(", ")}.`);
    if (trust.phase === "introduced") {
      await authority.promote();
      return this.#did(secret, "Issuing", "The second authority issues from now on; the first is trusted still.");
    }
    await authority.finish(rotateAuthorityAnnotation);
    return this.#did(secret, "Rotated", "The former certificate authority is trusted no more.");
  }

  /** Another authority in its place would cut the boxes off from each other until all have read theirs. */
  async #restore(): Promise<void> {
    const restored = await this.#needs.identities.authority.restore();
    if (restored === undefined) return;
    this.#did(restored, "Restored", "The Secret of the certificate authority was deleted and is there again.");
  }

  /** Boxes that have not shown yet that they have what this phase gives them. */
  async #late(trust: Trust, workloads: ReadonlyMap<string, ObservedWorkload>, view: NamespaceView): Promise<string[]> {
    const { identities, federation, probe = acceptsEachOther } = this.#needs;
    const own = await identities.proofOf(trust);
    const judged = await Promise.all(
      [...workloads].map(async ([box, { exists, stopped, adminEndpoint, peerEndpoint }]) => {
        if (!exists) return undefined;
        if (!identities.isCurrent(view.secrets.get(certificateName(box)), trust)) return box;
        // Who is stopped on purpose reads its Secret when it starts.
        if (stopped) return undefined;
        return (await probe({ own, federation, box, endpoint: adminEndpoint ?? peerEndpoint })) ? undefined : box;
      }),
    );
    return judged.filter((box) => box !== undefined);
  }

  #did(secret: KubeObject, reason: string, message: string): void {
    this.#waitedFor = "";
    this.#nextMs = 0;
    this.#tell(secret, reason, message);
  }

  #waits(secret: KubeObject, message: string): void {
    if (message === this.#waitedFor) return;
    this.#waitedFor = message;
    this.#tell(secret, "Waiting", message);
  }

  #tell(secret: KubeObject, reason: string, message: string): void {
    const { events, log } = this.#needs;
    log.info({ namespace: secret.metadata.namespace, reason, message }, "certificate authority");
    events.record(secret, { type: "Normal", reason, action: "RotateAuthority", message });
  }
}
