import { boxes, pick, type World } from "../scenario.ts";
import type { Strike } from "./strike.ts";

/** One to three boxes. */
function some(world: World): string[] {
  const list = boxes.filter(() => world.random.unit() < 0.4);
  return list.length > 0 ? list : [pick(world.random, boxes)];
}

export const kill: Strike = {
  name: "kill",
  about: "kill -9 of one to three boxes at one moment",
  async strike(world) {
    const { federation } = world;
    const rows = await Promise.all(some(world).map((name) => federation.box(name)));
    for (const { pid } of rows) process.kill(pid, "SIGKILL");
    return () => Promise.all(rows.map(({ name, pid }) => federation.restarted(name, pid)));
  },
};

export const stop: Strike = {
  name: "stop",
  about: "SIGSTOP of one to three boxes, and SIGCONT",
  async strike(world) {
    const { federation } = world;
    const rows = await Promise.all(some(world).map((name) => federation.box(name)));
    for (const { pid } of rows) federation.freezePid(pid);
    return async () => {
      for (const { pid } of rows) federation.thaw(pid);
    };
  },
};
