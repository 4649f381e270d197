import type { BackupFrame } from "@nexus-federation/proto/admin.ts";
import { describe, expect, test } from "vitest";
import { seededRandom } from "../base/seeded-random.ts";
import { anyone, codeOf, Federation, writeOp } from "./testing/federation.ts";
import { downloadWhole, uploadWhole } from "./testing/transfers.ts";

const trio = ["a", "b", "w"];

async function withDocs(): Promise<Federation> {
  const federation = await Federation.start([...trio, "c"], { system: 3 });
  await federation.zone({ zone: "docs", pattern: "/docs/**" }, trio);
  await federation.write("a", "/docs/one/x", "small");
  return federation;
}

async function backup(federation: Federation, box: string): Promise<BackupFrame[]> {
  const taken: BackupFrame[] = [];
  for await (const frame of federation.node(box).box.admin.backup({ zone: "docs" }, anyone)) taken.push(frame);
  return taken;
}

/** The frames as a restore under the name `copy` on box c gets them; `between` runs after the header was taken. */
async function* replay(federation: Federation, frames: BackupFrame[], between?: () => Promise<void>) {
  for (const [i, frame] of frames.entries()) {
    if (i === 1) await between?.();
    yield i === 0 ? { ...frame, header: headerOf(federation, frame) } : frame;
  }
}

function headerOf(federation: Federation, { header }: BackupFrame) {
  const copy = { zone: "copy", pattern: "/copy/**", mode: "strong", copiesDeclared: 1 };
  const rule = { ...federation.rule(copy, 0), members: ["c"] };
  return header && { ...header, newZone: "copy", rule, members: [federation.declared("c")] };
}

const shownOn = async (federation: Federation) =>
  Promise.all([
    federation.read("b", "/copy/one/x", { timeoutMs: 500 }),
    federation.read("b", "/zone:copy/one/x", { timeoutMs: 500 }),
  ]);

describe("a restore", () => {
  test("makes a new zone with the digest and the content of the backup", async () => {
    const federation = await withDocs();
    const big = Buffer.from(seededRandom(4).bytes(1_500_000));
    await uploadWhole(federation, { box: "a", path: "/docs/two/big" }, big);
    const frames = await federation.cluster.settle(backup(federation, "a"));

    const { admin } = federation.node("a").box;
    const restored = await federation.admin(admin.restore(replay(federation, frames), anyone));

    expect(restored.detail).toBe(Buffer.from(frames.at(-1)?.digest ?? []).toString("hex"));
    expect(await federation.read("b", "/copy/one/x")).toBe("small");
    expect((await downloadWhole(federation, { box: "c", path: "/copy/two/big" })).equals(big)).toBe(true);
  });

  test("shows its zone to nobody before it is complete, and nobody may bind it by a rule meanwhile", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    const { admin } = federation.node("a").box;
    let resume = () => {};
    let reached = false;
    const gate = new Promise<void>((resolve) => {
      resume = resolve;
    });
    const between = () => {
      reached = true;
      return gate;
    };

    const restoring = admin.restore(replay(federation, frames, between), anyone);
    await federation.cluster.until(() => reached, 10_000, "the header is taken");
    await federation.cluster.run(2_000);

    expect(await shownOn(federation)).toEqual(["NO_ZONE", "NO_ZONE"]);
    await expect(federation.zone({ zone: "copy", pattern: "/copy/**" }, ["c"])).rejects.toThrow(/ZONE_IN_USE/);
    resume();
    await federation.admin(restoring);
    await federation.cluster.run(1_000);
    expect(await shownOn(federation)).toEqual(["small", "small"]);
  });

  test("of strong_ha has the members of the backup again, and two voters without a witness get one", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    const held = frames[0]?.header?.members ?? [];
    expect(held.map(({ box, role }) => `${box} ${role}`)).toEqual(["a voter", "b voter", "w witness"]);

    const restored = async (name: string, members: string[] | undefined) => {
      const rule = { ...federation.rule({ zone: name, pattern: `/${name}/**` }, 0), mode: "strong_ha" };
      const given = members?.map((box) => ({ box, role: "voter" })) ?? held;
      const begun = { ...frames[0]!, header: { ...frames[0]!.header!, newZone: name, rule, members: given } };
      const all = (async function* () {
        yield* [begun, ...frames.slice(1)];
      })();
      const reply = await federation.admin(federation.node("a").box.admin.restore(all, anyone));
      const { groups } = federation.node("a").box.admin.status({ zones: true }, anyone);
      const now = groups.find((group) => group.log === reply.log)?.members ?? [];
      return now.map(({ box, role }) => `${box} ${role}`).sort();
    };
    expect(await restored("again", undefined)).toEqual(["a voter", "b voter", "w witness"]);
    expect(await restored("pair", ["a", "c"])).toEqual(["a voter", "c voter", "w witness"]);
  });

  test("that breaks off leaves nothing visible and can be repeated", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    const { admin } = federation.node("a").box;
    const broken = () => Promise.reject(new Error("the client went away"));

    const failed = await federation.cluster.settle(admin.restore(replay(federation, frames, broken), anyone), 60_000);
    await federation.cluster.run(1_000);

    expect(failed.failure?.message).toMatch(/the client went away/);
    expect(await shownOn(federation)).toEqual(["NO_ZONE", "NO_ZONE"]);
    await federation.admin(admin.restore(replay(federation, frames), anyone));
    expect(await federation.read("c", "/copy/one/x")).toBe("small");
  });

  test("whose box dies leaves nothing visible, and another box repeats it under the same name", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    let reached = false;
    const never = () => {
      reached = true;
      return new Promise<void>(() => undefined);
    };

    void federation.node("b").box.admin.restore(replay(federation, frames, never), anyone);
    await federation.cluster.until(() => reached, 10_000, "the header is taken");
    federation.crash("b");
    await federation.restart("b");
    await federation.cluster.run(5_000);

    expect(await shownOn(federation)).toEqual(["NO_ZONE", "NO_ZONE"]);
    await federation.admin(federation.node("a").box.admin.restore(replay(federation, frames), anyone));
    expect(await federation.read("b", "/copy/one/x")).toBe("small");
  });

  test("of bytes that are not those of the digest, of a changed byte and of a cut backup is CORRUPT", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    const { admin } = federation.node("a").box;
    const changed = frames.map((frame) => {
      const data = Buffer.from(frame.data);
      const found = data.indexOf("small");
      if (found >= 0) data[found]! ^= 1;
      return { ...frame, data };
    });
    const restore = async (given: BackupFrame[]) =>
      (await federation.cluster.settle(admin.restore(replay(federation, given), anyone), 60_000)).failure?.code;
    const wrong = frames.map((frame) => (frame.last ? { ...frame, digest: Buffer.alloc(32) } : frame));

    expect(await restore(wrong)).toBe("CORRUPT");
    expect(changed.some((frame, i) => !frame.data.equals(frames[i]!.data))).toBe(true);
    expect(await restore(changed)).toBe("CORRUPT");
    expect(await restore(frames.slice(0, -1))).toBe("CORRUPT");
    expect(await shownOn(federation)).toEqual(["NO_ZONE", "NO_ZONE"]);
  });

  test("under the name of a zone that exists is refused, and the zone stays as it is", async () => {
    const federation = await withDocs();
    const frames = await federation.cluster.settle(backup(federation, "a"));
    const { admin } = federation.node("a").box;
    await federation.zone({ zone: "copy", pattern: "/copy/**", mode: "strong", copiesDeclared: 1 }, ["c"]);
    await federation.write("c", "/copy/mine", "mine");

    const refused = await federation.cluster.settle(admin.restore(replay(federation, frames), anyone), 60_000);

    expect(refused.failure?.code).toMatch(/ALREADY_EXISTS|INVALID/);
    expect(await federation.read("c", "/copy/mine")).toBe("mine");
  });
});

test("a backup shows one moment, though the zone is written while it streams", async () => {
  const federation = await withDocs();
  for (let i = 0; i < 150; i++) await federation.write("a", `/docs/many/${i}`, `before ${i}`);
  const stream = federation.node("a").box.admin.backup({ zone: "docs" }, anyone)[Symbol.asyncIterator]();
  const header = await federation.cluster.settle(stream.next());
  for (let i = 0; i < 150; i += 7)
    expect(codeOf(await federation.ask("a", writeOp(`/docs/many/${i}`, "after")))).toBe("");
  const frames = [header.value as BackupFrame];
  const rest = async () => {
    for (let next = await stream.next(); next.done !== true; next = await stream.next()) frames.push(next.value);
  };
  await federation.cluster.settle(rest());

  await federation.admin(federation.node("a").box.admin.restore(replay(federation, frames), anyone));

  for (let i = 0; i < 150; i += 7) expect(await federation.read("c", `/copy/many/${i}`)).toBe(`before ${i}`);
});
