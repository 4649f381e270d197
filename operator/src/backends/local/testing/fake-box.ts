// A process that speaks the Admin service over real TLS and obeys at once, for tests of supervision: whoever is
// bootstrapped leads every log. State is kept in its folder, so that a killed one comes back as itself.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { type AdminReply, AdminService, type DeclaredMember, type StatusReply } from "@nexus-federation/proto/admin.ts";
import type { BoxRecord, ZoneRule } from "@nexus-federation/proto/records.ts";

interface State {
  incarnation: string;
  epoch: number;
  rules: ZoneRule[];
  boxes: BoxRecord[];
  logs: Record<
    string,
    { log: number; members: DeclaredMember[]; mode: string; configIndex: number; revision: number; hash: string }
  >;
}

const configFile = process.argv[process.argv.indexOf("--config") + 1]!;
const config = JSON.parse(readFileSync(configFile, "utf8"));
if (config.controlPipe) process.stdin.on("end", () => process.exit(0)).resume();
process.on("SIGTERM", () => process.exit(0));

const stateFile = join(config.dir, "fake.json");
const state: State = existsSync(stateFile)
  ? JSON.parse(readFileSync(stateFile, "utf8"), (key, value) =>
      key === "incarnation" && value?.data ? Buffer.from(value.data) : value,
    )
  : { incarnation: randomBytes(16).toString("hex"), epoch: 0, rules: [], boxes: [], logs: {} };
const save = () => writeFileSync(stateFile, JSON.stringify(state));
save();

function status(): StatusReply {
  const groups = Object.entries(state.logs).map(([zone, { log, members, mode, configIndex, revision, hash }]) => ({
    log,
    zone,
    generation: 1,
    role: "leader",
    leader: config.box,
    term: 1,
    witnessMode: members.some((member) => member.role === "witness") ? "PAIR" : "",
    epoch: 0,
    commit: 1,
    applied: 1,
    configIndex,
    joint: false,
    members: members.map((member, index) => ({
      ...member,
      match: 1,
      lag: 0,
      state: "",
      active: true,
      replica: index + 1,
      incarnation: Buffer.from(state.boxes.find((box) => box.name === member.box)?.incarnation ?? []),
      caughtUp: true,
    })),
    acceptedRevision: revision,
    acceptedHash: hash,
    stalenessMs: 0,
    locksHeld: 0,
    mode,
    copies: 1,
    needsReplication: false,
    acceptedWaits: "",
    uid: "",
    recovery: undefined,
  }));
  return {
    box: config.box,
    incarnation: Buffer.from(state.incarnation, "hex"),
    region: config.region,
    state: groups.length > 0 ? "ready" : "empty",
    ...newestMap(),
    groups,
    boxes: state.boxes,
    pending: undefined,
    version: "test",
    logTimeMs: 0,
    role: config.role,
    federation: config.federation,
    disruptionBox: "",
    disruptionHolder: "",
    problems: [],
  } as StatusReply;
}

/** The rules that any box of the folder has, but a box beside whose state a file named deaf lies hears of none. */
function newestMap() {
  const folder = join(config.dir, "..");
  const files = readdirSync(folder).map((box) => join(folder, box, "fake.json"));
  const states = files.filter(existsSync).map((file) => JSON.parse(readFileSync(file, "utf8")) as State);
  const newest = existsSync(join(config.dir, "deaf")) ? state : states.reduce((a, b) => (b.epoch > a.epoch ? b : a));
  return { epoch: newest.epoch, map: { epoch: newest.epoch, rules: newest.rules } };
}

const change =
  <In>(act: (request: In) => void) =>
  (call: ServerUnaryCall<In, AdminReply>, done: sendUnaryData<AdminReply>) => {
    try {
      act(call.request);
    } catch (error) {
      return done(error as Error);
    }
    save();
    done(null, { failure: undefined, log: 0, epoch: 0, configIndex: 0, detail: "" });
  };
const server = new Server();
server.addService(AdminService, {
  status: (_call: unknown, done: sendUnaryData<StatusReply>) => done(null, status()),
  bootstrap: change<{ members: DeclaredMember[] }>(({ members }) => {
    state.logs["system"] = { log: 1, members, mode: "", configIndex: 1, revision: 0, hash: "" };
  }),
  registerBox: change<{ box: BoxRecord }>(({ box }) => {
    state.boxes = [...state.boxes.filter((each) => each.name !== box.name), box];
  }),
  removeBox: change<{ box: string }>(({ box }) => {
    state.boxes = state.boxes.filter((each) => each.name !== box);
  }),
  ensureZone: change<{ zone: string; members: DeclaredMember[] }>(({ zone, members }) => {
    if (zone === "refused") throw new Error("no log can be made");
    state.logs[zone] ??= {
      log: Object.keys(state.logs).length + 1,
      members,
      mode: "",
      configIndex: 1,
      revision: 0,
      hash: "",
    };
  }),
  installRules: change<{ rules: ZoneRule[] }>(({ rules }) => {
    state.rules = rules;
    for (const rule of rules) state.logs[rule.zone]!.mode = rule.mode;
    state.epoch++;
  }),
  proposeMembership: change<{ zone: string; members: DeclaredMember[]; revision: number; hash: string }>(
    ({ zone, members, revision, hash }) => {
      const log = state.logs[zone]!;
      Object.assign(log, { members, revision, hash });
      log.configIndex++;
    },
  ),
  transfer: change(() => {}),
  drain: change(() => {}),
  destroyZone: change<{ zone: string }>(({ zone }) => {
    delete state.logs[zone];
  }),
} as never);
const read = (path: string) => readFileSync(path);
const credentials = ServerCredentials.createSsl(
  read(config.tls.ca),
  [{ cert_chain: read(config.tls.cert), private_key: read(config.tls.key) }],
  true,
);
server.bindAsync(`${config.peer.host}:${config.peer.port}`, credentials, (error) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
});
