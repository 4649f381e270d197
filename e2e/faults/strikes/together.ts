// Harm that meets other harm, or work under way, at one moment: the system zone's log alone is damaged, a certificate's
// replacement is cut in two, a disk fills while its log is compacted, an old disk comes back as the leader is lost.
import { readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import {
  findFrame,
  frameHeaderBytes,
  readSegmentHeader,
  recordHeaderBytes,
} from "@nexus-federation/node/log/format.ts";
import { readRecord, readRecordHeader } from "@nexus-federation/node/log/records.ts";
import { Authority } from "@nexus-federation/node/transport/authority.ts";
import { type Credentials, readCredentials } from "@nexus-federation/node/transport/credentials.ts";
import { systemLog } from "@nexus-federation/node/tree/system-zone.ts";
import { flip } from "../../harness/damage.ts";
import type { Federation } from "../../harness/federation.ts";
import { isAlive, pause, until } from "../../harness/run.ts";
import { dataBoxes, otherThan, pick, type World } from "../scenario.ts";
import { wholeAgain } from "../world.ts";
import { copied, putBack, supervisorMsMax } from "./odd.ts";
import type { Strike } from "./strike.ts";

const isRoot = process.getuid?.() === 0;
const wholeMsMax = 90_000;
/** Long enough for an election and the supervisor's next look. */
const ledMsMax = 15_000;

/** A stretch of a segment's file. */
interface Body {
  file: string;
  from: number;
  to: number;
}

/**
 * Bodies of the system zone's records that still count: none before its replica began anew, and none of the last frame,
 * which may pass for a torn write.
 */
function systemBodies(log: string): Body[] {
  const files = readdirSync(log).filter((name) => name.endsWith(".seg"));
  let frames: Body[][] = [];
  for (const file of files.sort().map((name) => join(log, name))) {
    const bytes = readFileSync(file);
    const { segment = 0, salt = 0 } = readSegmentHeader(bytes) ?? {};
    for (let frame = findFrame(bytes, { segment, offset: 0 }, salt); frame; ) {
      const end = frame.place.offset + frame.lengthBytes;
      const found: Body[] = [];
      for (let at = frame.place.offset + frameHeaderBytes; at < end; ) {
        const record = readRecordHeader(bytes, at, end);
        if (record === undefined) break;
        const from = at + recordHeaderBytes;
        at = record.end;
        if (record.group !== systemLog) continue;
        if (readRecord(bytes, from - recordHeaderBytes, record)?.reset) frames = [];
        if (at > from) found.push({ file, from, to: at });
      }
      frames.push(found);
      frame = findFrame(bytes, { segment, offset: end }, salt);
    }
  }
  return frames.slice(0, -1).flat();
}

const systemLogAlone: Strike = {
  name: "system-log",
  about: "a flipped byte in what the system zone wrote to a data box's log, after kill -9",
  async strike({ federation, random }) {
    let flipped = 0;
    const { configIndex } = await federation.group("system");
    const box = pick(random, dataBoxes);
    if (!(await handsOver(federation, box))) return async () => {};
    await federation.damage(box, (folder) => {
      const bodies = systemBodies(join(folder, "log"));
      if (bodies.length === 0) return;
      const { file, from, to } = pick(random, bodies);
      flip(file, from + Math.floor((to - from) * random.unit()));
      flipped++;
    });
    if (flipped === 0) throw new Error("the log holds nothing of the system zone");
    const replaced = async () => {
      const group = await federation.group("system");
      if (group.configIndex > configIndex) return true;
      throw new Error(JSON.stringify(group));
    };
    return async () => {
      await until("the damaged member of the system zone is replaced", replaced, wholeMsMax);
      // Whoever is damaged next must not be the only one that has everything.
      await federation.whole("system", wholeMsMax);
    };
  },
};

/**
 * Freezes the box and sees that the other one leads the system zone, now or already: then nothing that was acknowledged stands
 * on this disk alone. False when it was in SOLO; it runs on then.
 */
async function handsOver(federation: Federation, box: string): Promise<boolean> {
  const pid = await federation.freeze(box);
  const otherLeads = async () => (await federation.group("system")).leader === otherThan(box);
  try {
    return await until(`the system zone is led without ${box}`, otherLeads, ledMsMax);
  } catch {
    federation.thaw(pid);
    return false;
  }
}

/** A replacement waits about so long until its box has taken the new certificate. */
const replacementMs = 12_000;
const refusedMsMax = 90_000;

const cutReplacement: Strike = {
  name: "certificate-kill",
  about: "kill -9 of the supervisor and of a box whose certificate is being replaced, between two of its files too",
  async strike({ federation, random }) {
    const box = pick(random, dataBoxes);
    const folder = federation.folder.certificates(box);
    const former = readCredentials(folder);
    const { supervisor } = await federation.status();
    const { pid } = await federation.box(box);
    const replacing = federation.nexus(["box", "revoke", box]);
    await pause(random.unit() * replacementMs);
    process.kill(supervisor, "SIGKILL");
    await replacing;
    if (isAlive(pid)) process.kill(pid, "SIGKILL");
    if (random.unit() < 0.5) {
      const authority = await Authority.load(federation.folder.authority);
      const next = await authority.issue({ kind: "box", id: box }, { nowMs: Date.now() });
      // The key is written before its certificate.
      writeFileSync(join(folder, "tls.key"), next.key);
    }
    return async () => {
      await until("a supervisor runs", async () => (await federation.start()).code === 0, supervisorMsMax);
      await federation.settled(supervisorMsMax);
      const again = async () => (await federation.nexus(["box", "revoke", box])).code === 0;
      await until("the certificate is replaced", again, supervisorMsMax);
      const other = (await federation.box(otherThan(box))).peer;
      const turnedAway = async () => !(await isLetIn(other, former));
      await until("the former certificate counts no more", turnedAway, refusedMsMax);
      if (!(await isLetIn(other, readCredentials(folder)))) throw new Error(`${box}'s new certificate is refused`);
    };
  },
};

/** Whether the peer port says anything to who has the certificate. */
function isLetIn(endpoint: string, { certificate, key }: Credentials): Promise<boolean> {
  const [host, port] = endpoint.split(":");
  const options = {
    host,
    port: Number(port),
    cert: certificate,
    key,
    rejectUnauthorized: false,
    ALPNProtocols: ["h2"],
  };
  return new Promise((resolve) => {
    const socket = connect(options, () => socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"));
    socket.on("data", () => {
      resolve(true);
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
  });
}

const mebibyte = 1024 * 1024;
/** As much as stands in log entries, and not in chunks of its own. */
const inline = Buffer.alloc(30_000, "compacted ");
/** More than makes a log be compacted. */
const burstCount = 900;
const burstLanes = 8;
const full = dataBoxes[0];

/** Writes enough for a compaction; ends early where writes are refused. */
async function burst({ federation }: World, folder: string): Promise<void> {
  const client = federation.client();
  let number = 0;
  const lane = async () => {
    while (number < burstCount) await client.put(`${folder}/${number++ % 40}`, inline, { timeoutMs: 5000 });
  };
  await Promise.allSettled(Array.from({ length: burstLanes }, lane));
  client.close();
}

let bursts = 0;
const fullWhileCompacting: Strike = {
  name: "full-compaction",
  about: "a data box's disk fills while its log is compacted; it is killed then, or the other one needs a snapshot",
  prepare: () => (isRoot ? { before: (federation) => federation.smallDisk(full, 640) } : "a small disk needs root"),
  async strike(world) {
    const { federation, random } = world;
    const folder = federation.folder.box(full);
    const ballast = join(folder, "ballast");
    const writing = burst(world, `/burst/${bursts++}`);
    await pause(random.unit() * 3000);
    const { bavail, bsize } = statfsSync(folder);
    try {
      writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - pick(random, [0, 4, 24, 100]) * mebibyte)));
    } catch {
      // The box took the last bytes first; what was written stays, and fills the disk.
    }
    const also = pick(random, ["nothing", "kill", "wipe the other"] as const);
    const { pid } = await federation.box(full);
    if (also === "kill") process.kill(pid, "SIGKILL");
    if (also === "wipe the other") {
      const leads = (await federation.leader()) === full && (await federation.group()).mode !== "SOLO";
      // Only where the full one has everything.
      if (leads) await federation.damage(otherThan(full), emptied);
    }
    return async () => {
      await writing;
      rmSync(ballast);
      if (also === "kill") await federation.restarted(full, pid);
    };
  },
};

function emptied(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}

const oldDiskLostLeader: Strike = {
  name: "old-disk-leader",
  about: "a follower comes back with its disk as it was a while ago, and the leader is killed at that moment",
  async strike(world) {
    const { federation } = world;
    const box = otherThan(await federation.leader());
    const copy = await copied(federation, box);
    return async () => {
      // What only this box has would be lost by rights.
      await wholeAgain(world);
      const leader = await federation.leader();
      if (leader === box) return;
      const { pid } = await federation.box(leader);
      const follower = await federation.freeze(box);
      // From here on the witness lets nobody lead who has not what the leader acknowledged alone.
      await until("the leader goes on alone", async () => (await federation.group()).mode === "SOLO", wholeMsMax);
      putBack(copy, federation.folder.box(box));
      for (const each of [follower, pid]) process.kill(each, "SIGKILL");
      federation.thaw(follower);
      await Promise.all([federation.restarted(box, follower), federation.restarted(leader, pid)]);
    };
  },
};

export const togetherStrikes: Strike[] = [systemLogAlone, cutReplacement, fullWhileCompacting, oldDiskLostLeader];
