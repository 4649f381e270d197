import type { MetricDefinition } from "./metric-definition.ts";

/** One value of a metric's page, as prom-client's registry prints it. */
interface Sample {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

/** A counter with its labels fixed. Whoever counts keeps it: counting is one addition, no look-up and no allocation. */
export class Count {
  value = 0;

  inc(by = 1): void {
    this.value += by;
  }
}

/** A histogram with its labels fixed. */
export class Distribution {
  /** Observations by bucket, not yet summed up; the last is for those above every bound. */
  readonly #counts: Float64Array;
  readonly #bounds: readonly number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at++;
    this.#counts[at]!++;
    this.#sum += value;
  }

  *samples(name: string, labels: Record<string, string>): Iterable<Sample> {
    let total = 0;
    for (const [at, count] of this.#counts.entries()) {
      total += count;
      const le = this.#bounds[at] ?? "+Inf";
      yield { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
    }
    yield { metricName: `${name}_sum`, labels, value: this.#sum };
    yield { metricName: `${name}_count`, labels, value: total };
  }
}

/**
 * The members of a metric by their label values. prom-client's own counters and histograms hash their labels at every
 * call, which at 40k requests a second is a tenth of the budget; these are looked up once and read when somebody scrapes.
 */
class Family<Child> {
  readonly name: string;
  readonly help: string;
  readonly definition: MetricDefinition;
  readonly members = new Map<string, { labels: Record<string, string>; child: Child }>();
  readonly #make: () => Child;

  constructor(definition: MetricDefinition, make: () => Child) {
    this.name = definition.name;
    this.help = definition.help;
    this.definition = definition;
    this.#make = make;
    if (definition.labels.length === 0) this.of();
  }

  /** The member with these label values, in the order of the list. */
  of(...values: string[]): Child {
    const key = values.join("\u0000");
    const known = this.members.get(key);
    if (known !== undefined) return known.child;
    const labels = Object.fromEntries(this.definition.labels.map((label, at) => [label, values[at] ?? ""]));
    const child = this.#make();
    this.members.set(key, { labels, child });
    return child;
  }

  /** For prom-client's registry. */
  reset(): void {
    this.members.clear();
  }
}

export class CountFamily extends Family<Count> {
  constructor(definition: MetricDefinition) {
    super(definition, () => new Count());
  }
  async get() {
    const values: Sample[] = [];
    for (const { labels, child } of this.members.values()) values.push({ labels, value: child.value });
    return { name: this.name, help: this.help, type: "counter", values, aggregator: "sum" };
  }
}

export class DistributionFamily extends Family<Distribution> {
  constructor(definition: MetricDefinition, bounds: readonly number[]) {
    super(definition, () => new Distribution(bounds));
  }
  async get() {
    const values: Sample[] = [];
    for (const { labels, child } of this.members.values()) values.push(...child.samples(this.name, labels));
    return { name: this.name, help: this.help, type: "histogram", values, aggregator: "sum" };
  }
}
