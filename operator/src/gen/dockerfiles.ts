// The Dockerfiles, so that the flags of Node stand in one place (backends/local/node-flags.ts).
import { type NodeOptions, nodeOptions } from "../backends/local/node-flags.ts";
import { boxPorts, imageUser } from "../backends/shared/container.ts";

interface Image {
  what: string;
  /** Name of the bundle in dist/. */
  program: string;
  ports: readonly number[];
  options: NodeOptions;
  /** Why the options are what they are. */
  because?: string;
  /** More that is copied. */
  more?: string;
}

const images: Record<string, Image> = {
  node: {
    what: "A data box",
    program: "box",
    ports: Object.values(boxPorts),
    options: nodeOptions.data,
    because: "A hung disk holds the threads that write to it; the rest still serve names, chunks and certificates.",
    more: "COPY dist/node_modules /app/node_modules",
  },
  witness: {
    what: "A witness: votes and records, no data, within 64 MiB",
    program: "witness",
    ports: [boxPorts.peer, boxPorts.health, boxPorts.metrics],
    options: nodeOptions.witness,
    because: "One arena and one thread of the pool: memory, not speed, is what a witness must spare.",
  },
  operator: {
    what: "The operator, the one-shot services of compose.yaml, and the command line for jobs in a cluster",
    program: "operator",
    ports: [8080, 8081],
    options: nodeOptions.operator,
    more: "COPY dist/compose.mjs dist/compose.mjs.LEGAL.txt dist/nexus.mjs dist/nexus.mjs.LEGAL.txt /app/",
  },
};

/** Text by file name. */
export function dockerfiles(): Map<string, string> {
  return new Map(Object.entries(images).map(([name, image]) => [`Dockerfile.${name}`, textOf(image)]));
}

function textOf({ what, program, ports, options, because, more }: Image): string {
  const environment = Object.entries(options.environment).map(([name, value]) => `${name}=${value}`);
  const entry = ["/nodejs/bin/node", ...options.flags, `/app/${program}.mjs`];
  const lines = [
    "# Made by npm run gen from operator/src/gen/dockerfiles.ts. Do not edit.",
    `# ${what}. Built by \`make images\` from what \`npm run build\` made: nothing is downloaded here.`,
    "# BASE: an image with Node 24 at /nodejs/bin/node and glibc. `make images` passes its own; this default needs internet.",
    "ARG BASE=gcr.io/distroless/nodejs24-debian12:nonroot",
    `FROM \${BASE}`,
    `COPY LICENSE NOTICE dist/${program}.mjs.LEGAL.txt dist/${program}.sbom.json /licenses/`,
    more,
    `COPY dist/${program}.mjs /app/`,
    environment.length > 0 ? `# ${because}\nENV ${environment.join(" ")}` : undefined,
    `USER ${imageUser}:${imageUser}`,
    `EXPOSE ${ports.join(" ")}`,
    `ENTRYPOINT [${entry.map((word) => JSON.stringify(word)).join(", ")}]`,
  ];
  return `${lines.filter((line) => line !== undefined).join("\n")}\n`;
}
