import { expect } from "chai";
import { ProxmoorError } from "../../../src/model/errors.js";
import { observeCluster, type ObserveOptions } from "../../../src/observed/observe.js";
import type {
  ClusterReader,
  GuestSummary,
  ObservedNode,
  ObservedState,
  RawConfig,
} from "../../../src/observed/types.js";

const RAW: RawConfig = { config: { name: "x" }, pending: {}, digest: "d" };

function guest(vmid: number, node = "pve1"): GuestSummary {
  return { kind: "VirtualMachine", vmid, node, status: "running", template: false, tags: [] };
}

interface Fake {
  readonly nodes?: Readonly<Record<string, ObservedNode["status"]>>;
  readonly guests?: readonly GuestSummary[];
  readonly silent?: Readonly<Record<string, string>>;
  readonly config?: (vmid: number, signal?: AbortSignal) => Promise<RawConfig>;
}

function reader({ nodes = { pve1: "online", pve2: "online" }, guests = [], silent = {}, config }: Fake): ClusterReader {
  return {
    overview: async () => ({
      nodes: Object.entries(nodes).map(([name, status]) => ({ name, status })),
      storages: [],
      guests,
      silent: new Map(Object.entries(silent)),
    }),
    guestConfig: async ({ vmid }, signal) => (config ? config(vmid, signal) : RAW),
    decode: () => ({ fields: { memory: 1 }, pendingFields: [], identities: ["i"] }),
    guestStatus: async () => "running",
  };
}

/** One line per sight: `101 present`, `102 unreadable on pve2: why`. */
function sightsOf({ sights }: ObservedState): string[] {
  return [...sights]
    .sort(([a], [b]) => a - b)
    .map(
      ([vmid, sight]) => `${vmid} ${sight.at}${sight.at === "unreadable" ? ` on ${sight.node}: ${sight.reason}` : ""}`,
    );
}

async function look(fake: Fake, options: Partial<ObserveOptions> = {}): Promise<string[]> {
  return sightsOf(await observeCluster(reader(fake), { now: 7, ...options }));
}

describe("one look at the cluster", () => {
  it("reads each listed guest", async () => {
    const seen = await observeCluster(reader({ guests: [guest(101), guest(102)] }), { now: 7 });
    expect(sightsOf(seen)).to.deep.equal(["101 present", "102 present"]);
    expect([seen.takenAt, seen.complete, [...seen.summaries.keys()]]).to.deep.equal([7, true, [101, 102]]);
    expect(seen.sights.get(101)).to.have.nested.property("guest.fields.memory", 1);
  });

  it("takes the guests of a silent node for unreadable, whatever lists say, and never asks for them", async () => {
    const asked: number[] = [];
    const config = async (vmid: number) => (asked.push(vmid), RAW);
    const guests = [guest(101), guest(102, "pve2")];
    expect(await look({ nodes: { pve1: "online", pve2: "offline" }, guests, config })).to.deep.equal([
      "101 present",
      "102 unreadable on pve2: the node is offline",
    ]);
    expect(await look({ silent: { pve2: "got timeout" }, guests, config })).to.deep.equal([
      "101 present",
      "102 unreadable on pve2: got timeout",
    ]);
    expect(asked).to.deep.equal([101, 101]);
  });

  it("takes a guest whose configuration can't be read for unreadable, also one that does not exist any more", async () => {
    const config = async (vmid: number) => {
      if (vmid === 102) throw new Error("Configuration file does not exist");
      return RAW;
    };
    expect(await look({ guests: [guest(101), guest(102)], config })).to.deep.equal([
      "101 present",
      "102 unreadable on pve1: Configuration file does not exist",
    ]);
  });

  describe("a known vmid that no list has", () => {
    const known = new Map([[105, "pve2"]]);
    const gone = async () => {
      throw new ProxmoorError("PVE_NOT_FOUND", "Configuration file does not exist");
    };

    it("is absent where its node answers", async () => {
      expect(await look({ config: gone }, { known })).to.deep.equal(["105 absent"]);
      const nodes = { pve1: "offline", pve2: "online" } as const;
      expect(await look({ nodes, config: gone }, { known })).to.deep.equal(["105 absent"]);
    });

    it("is unreadable where the log-in may not see it, or it can be read though no list has it", async () => {
      const config = async () => {
        throw new ProxmoorError("PVE_PERMISSION", "Permission check failed (/vms/105, VM.Audit)");
      };
      expect(await look({ config }, { known })).to.deep.equal([
        "105 unreadable on pve2: Permission check failed (/vms/105, VM.Audit)",
      ]);
      expect(await look({}, { known })).to.deep.equal([
        "105 unreadable on pve2: no list has it, but it can be read: it was made or moved this moment",
      ]);
    });

    it("is unreadable where its node is silent", async () => {
      const nodes = { pve1: "online", pve2: "unknown" } as const;
      expect(await look({ nodes }, { known })).to.deep.equal(["105 unreadable on pve2: the node is unknown"]);
      expect(await look({ silent: { pve2: "no route" } }, { known })).to.deep.equal([
        "105 unreadable on pve2: no route",
      ]);
    });

    it("of a node that is no longer in the cluster is absent only where all others answer", async () => {
      expect(await look({ nodes: { pve1: "online" } }, { known })).to.deep.equal(["105 absent"]);
      expect(await look({ nodes: { pve1: "online", pve3: "offline" } }, { known })).to.deep.equal([
        "105 unreadable on pve2: the node is not in the cluster's list, and another one does not answer",
      ]);
    });

    it("is what the list says where it has moved", async () => {
      expect(await look({ guests: [guest(105, "pve1")] }, { known })).to.deep.equal(["105 present"]);
    });
  });

  it("leaves out what it was told not to read, which then is neither absent nor present", async () => {
    const seen = await observeCluster(reader({ guests: [guest(101), guest(102)] }), {
      now: 0,
      reads: ({ vmid }) => vmid === 101,
      known: new Map([[102, "pve1"]]),
    });
    expect(sightsOf(seen)).to.deep.equal(["101 present"]);
    expect([...seen.summaries.keys()]).to.deep.equal([101, 102]);
  });

  it("reads no more at once than it may", async () => {
    let [now, most] = [0, 0];
    const config = async () => {
      most = Math.max(most, ++now);
      await new Promise((done) => setImmediate(done));
      now--;
      return RAW;
    };
    const guests = Array.from({ length: 20 }, (_, index) => guest(100 + index));
    expect(await look({ guests, config }, { concurrency: 3 })).to.have.length(20);
    expect(most).to.equal(3);
  });

  it("ends whole on an abort, and asks for nothing more", async () => {
    const abort = new AbortController();
    let asked = 0;
    const config = async () => {
      if (++asked === 2) abort.abort(new Error("enough"));
      await new Promise((done) => setImmediate(done));
      return RAW;
    };
    const guests = Array.from({ length: 20 }, (_, index) => guest(100 + index));
    const failed = await look({ guests, config }, { signal: abort.signal, concurrency: 2 }).then(
      () => "looked",
      (error: Error) => error.message,
    );
    expect([failed, asked]).to.deep.equal(["enough", 2]);
  });

  it("throws what the lists throw", async () => {
    const broken = { ...reader({}), overview: () => Promise.reject(new Error("log-in refused")) };
    const failed = await observeCluster(broken, { now: 0 }).catch((error: unknown) => error);
    expect(failed).to.have.property("message", "log-in refused");
  });
});
