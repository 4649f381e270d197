import type { GroupConfig } from "@nexus-federation/proto/raft.ts";
import type { LogMember } from "@nexus-federation/proto/records.ts";
import type { RawNode } from "../raft/rawnode.ts";
import { isWitness } from "./config.ts";
import type { ReplicaStorage } from "./replica-storage.ts";

/** A full member and the last index that it is known to hold durably. */
interface Holder {
  box: string;
  match: number;
  isVoter: boolean;
}

/** Which full members hold an entry durably, as known now. */
export class Holders {
  readonly #holders: Holder[] = [];
  #last: { copies: number; boxes: string[] } = { copies: -1, boxes: [] };

  constructor(replica: { id: number; node: RawNode; config: GroupConfig; storage: ReplicaStorage }) {
    const { progress } = replica.node.raft.tracker;
    for (const member of replica.config.members) {
      if (isWitness(replica.config, member.replica) || isReplaced(replica.config, member)) continue;
      const known = progress.get(member.replica)?.match ?? 0;
      const match = member.replica === replica.id ? replica.storage.lastIndex() : known;
      this.#holders.push({ box: member.box, match, isVoter: member.role === "voter" });
    }
  }

  /** True when every full voter holds it. */
  allVoters(index: number): boolean {
    return this.#holders.every((holder) => !holder.isVoter || holder.match >= index);
  }

  /** Later entries are held by no more members than earlier ones, so the list is shared while the count is the same. */
  of(index: number): { copies: number; boxes: string[] } {
    let copies = 0;
    for (const holder of this.#holders) if (holder.match >= index) copies++;
    if (copies !== this.#last.copies) {
      const boxes = this.#holders.filter((holder) => holder.match >= index).map((holder) => holder.box);
      this.#last = { copies, boxes };
    }
    return this.#last;
  }
}

/** A box that lost its data stands twice while it is replaced by itself; what its dead id acknowledged is gone. */
function isReplaced(config: GroupConfig, member: LogMember): boolean {
  return config.members.some(
    (other) => other.replica > member.replica && other.box === member.box && other.role !== "witness",
  );
}
