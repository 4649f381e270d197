// What requests come, how long they take and what is refused. It stands around the box at each door and not inside it,
// because only there is known by which door a request came, and internal requests are nobody's load.
import type { DownloadFrame, WatchFrame } from "@nexus-federation/proto/files.ts";
import type { Request, Response } from "@nexus-federation/proto/request.ts";
import type { Clock } from "../base/clock.ts";
import type { Count, Distribution } from "../telemetry/counts.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { BoxApi, Upload } from "./api.ts";
import type { Handle } from "./ask.ts";

export type DoorName = "http" | "grpc" | "peer";

/** Refusals that say the zone could not be served, whoever asked. */
const unserved: ReadonlySet<string> = new Set([
  "NO_LEADER",
  "ZONE_UNAVAILABLE",
  "AUTHORITY_UNREACHABLE",
  "COPIES_UNAVAILABLE",
  "UNKNOWN_OUTCOME",
  "DEADLINE",
  "LOOP",
  "INTERNAL",
]);

interface OpMeter {
  count: Count;
  seconds: Distribution;
}

/** The counters of one door. */
export class DoorMeter {
  readonly #metrics: Metrics;
  readonly #door: DoorName;
  readonly #clock: Clock;
  readonly #ops = new Map<string, OpMeter>();
  readonly #routed: Count;
  readonly #failed: Count;

  constructor(metrics: Metrics, door: DoorName, clock: Clock) {
    this.#metrics = metrics;
    this.#door = door;
    this.#clock = clock;
    this.#routed = metrics.coordinatorRequests.of();
    this.#failed = metrics.coordinatorFailures.of();
  }

  /** A request begins; what is returned is to be called with the code of its refusal, or "". */
  begin(op: string): (code: string) => void {
    const meter = this.#of(op);
    meter.count.value++;
    if (this.#door !== "peer") this.#routed.value++;
    const startedMs = this.#clock.now();
    return (code) => {
      meter.seconds.observe((this.#clock.now() - startedMs) / 1000);
      if (code !== "") this.refused(code);
    };
  }

  refused(code: string): void {
    this.#metrics.refused.of(code).inc();
    if (this.#door !== "peer" && unserved.has(code)) this.#failed.value++;
  }

  healthChecked(): void {
    this.#metrics.coordinatorHealthChecks.of().inc();
  }

  /** The same, and counted. */
  handle(handle: Handle): Handle {
    return (request, caller, done) => {
      const end = this.begin(opOf(request));
      handle(request, caller, (response) => {
        end(codeOf(response));
        done(response);
      });
    };
  }

  #of(op: string): OpMeter {
    const known = this.#ops.get(op);
    if (known !== undefined) return known;
    const { requests, requestSeconds } = this.#metrics;
    const meter = { count: requests.of(this.#door, op), seconds: requestSeconds.of(op) };
    this.#ops.set(op, meter);
    return meter;
  }
}

/** The box as one door sees it, counted. */
export function meteredBox(box: BoxApi, meter: DoorMeter): BoxApi {
  return {
    box: box.box,
    federation: box.federation,
    region: box.region,
    handle: meter.handle((request, caller, done) => box.handle(request, caller, done)),
    upload: (header, caller) => meteredUpload(box.upload(header, caller), meter),
    download: (request, caller, signal) =>
      counted(box.download(request, caller, signal), meter.begin("download"), headCode),
    watch: (request, caller, signal) => counted(box.watch(request, caller, signal), meter.begin("watch"), watchCode),
    get admin() {
      return box.admin;
    },
    health() {
      meter.healthChecked();
      return box.health();
    },
  };
}

function meteredUpload(upload: Upload, meter: DoorMeter): Upload {
  let end: ((code: string) => void) | undefined = meter.begin("upload");
  const over = (code: string) => {
    end?.(code);
    end = undefined;
  };
  return {
    write: (data) => upload.write(data),
    async finish() {
      const response = await upload.finish();
      over(codeOf(response));
      return response;
    },
    abort() {
      upload.abort();
      over("");
    },
  };
}

/** The stream, which ends its count however it ends. */
async function* counted<T>(
  frames: AsyncIterable<T>,
  end: (code: string) => void,
  codeIn: (frame: T) => string,
): AsyncGenerator<T, void, void> {
  let code = "";
  try {
    for await (const frame of frames) {
      code ||= codeIn(frame);
      yield frame;
    }
  } finally {
    end(code);
  }
}

const headCode = (frame: DownloadFrame): string => (frame.head === undefined ? "" : codeOf(frame.head));
const watchCode = (frame: WatchFrame): string => frame.failure?.code ?? "";

function opOf(request: Request): string {
  const op = request.op;
  return op?.$case === "mutate" ? (op.value.op?.$case ?? "mutate") : (op?.$case ?? "none");
}

function codeOf(response: Response): string {
  return response.result?.$case === "failure" ? response.result.value.code : "";
}
