import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Metrics } from "../controller/ports.js";

/** The controller's metrics in Prometheus' form; names as in docs/guide/controller.md. */
export class PrometheusMetrics implements Metrics {
  readonly registry = new Registry();
  readonly #reconciles = new Counter({
    name: "proxmoor_reconcile_total",
    help: "Reconciles by result.",
    labelNames: ["result"],
    registers: [this.registry],
  });
  readonly #durations = new Histogram({
    name: "proxmoor_reconcile_duration_seconds",
    help: "How long reconciles took.",
    labelNames: ["result"],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300],
    registers: [this.registry],
  });
  readonly #polls = new Counter({
    name: "proxmoor_poll_total",
    help: "Looks at the cluster by result.",
    labelNames: ["result"],
    registers: [this.registry],
  });
  readonly #pollSeconds = new Gauge({
    name: "proxmoor_poll_duration_seconds",
    help: "How long the last look at the cluster took.",
    registers: [this.registry],
  });
  readonly #drift = new Counter({
    name: "proxmoor_drift_total",
    help: "Drift that was corrected or reported.",
    labelNames: ["correction"],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  reconciled(result: Parameters<Metrics["reconciled"]>[0], seconds: number): void {
    this.#reconciles.inc({ result });
    this.#durations.observe({ result }, seconds);
  }

  polled(result: "ok" | "failed", seconds: number): void {
    this.#polls.inc({ result });
    this.#pollSeconds.set(seconds);
  }

  drift(correction: "corrected" | "reported"): void {
    this.#drift.inc({ correction });
  }

  gauges(read: Parameters<Metrics["gauges"]>[0]): void {
    const registers = [this.registry];
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    gauge("proxmoor_queue_depth", "Objects that wait to be reconciled.", () => read().queueDepth);
    gauge("proxmoor_queue_working", "Objects that are reconciled now.", () => read().working);
    gauge("proxmoor_resources", "Objects in the inventory.", () => read().resources);
    gauge("proxmoor_manifest_faults", "Faults in the manifests as they are now.", () => read().faults);
    new Gauge({
      name: "proxmoor_resources_condition",
      help: "Objects whose condition is True, by condition.",
      labelNames: ["condition"],
      registers,
      collect() {
        this.reset();
        for (const [condition, count] of Object.entries(read().conditions)) this.set({ condition }, count);
      },
    });
  }
}
