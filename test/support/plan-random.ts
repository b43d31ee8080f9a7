import fc from "fast-check";
import { validateManifests } from "../../src/desired/index.js";
import type { DesiredState } from "../../src/desired/types.js";
import { parseCluster } from "./plan-cluster.js";
import type { ModelCluster, ModelGuest } from "./plan-model.js";

/** What a manifest holds, as YAML would give it. */
export type Manifest = Readonly<Record<string, unknown>>;

const NAMES = ["a", "b", "c", "d"];
const GIB = ["8Gi", "8Gi", "8Gi", "16Gi"];

function some<T>(values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values);
}

/** A map with any of these keys. */
function any(fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(fields, { requiredKeys: [] });
}

/** The same, but left out where it would be empty: PVE has no use for it, and manifests refuse it. */
function section(fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<unknown> {
  return any(fields).map((map) => (Object.keys(map).length === 0 ? undefined : map));
}

const SHARED = {
  tags: fc.uniqueArray(some(["web", "DB", "prod"]), { maxLength: 2 }),
  description: some(["", "one line", "two\nlines\n"]),
  onBoot: fc.boolean(),
  lifecycle: section({
    restart: some(["never", "ask", "allow"]),
    prune: some(["keep", "delete"]),
    ignoreChanges: fc.constant(["spec.memory"]),
  }),
  power: some(["running", "stopped", "unmanaged"]),
};

const volume = {
  storage: fc.constant("local-lvm"),
  size: some(GIB),
};

const disk = fc
  .tuple(
    fc.record(volume),
    any({
      discard: fc.boolean(),
      backup: fc.boolean(),
      cache: some(["none", "writeback"]),
      format: fc.constant("raw"),
    }),
  )
  .map(([place, options]) => ({ ...place, ...options }));

const machineNetwork = fc
  .tuple(
    fc.record({ bridge: some(["vmbr0", "vmbr1"]) }),
    any({ vlan: fc.constant(10), firewall: fc.boolean(), model: some(["virtio", "e1000"]), mtu: fc.constant(1400) }),
  )
  .map(([bridge, options]) => ({ ...bridge, ...options }));

const machine = any({
  ...SHARED,
  from: some([
    ...Array<unknown>(8).fill({ template: "debian-12" }),
    { template: 9000, full: true },
    { template: "debain" },
  ]),
  cpu: section({
    cores: fc.integer({ min: 1, max: 4 }),
    type: some(["host", "kvm64"]),
    limit: fc.integer({ max: 2, min: 0 }),
  }),
  memory: some(["1Gi", "2Gi"]),
  disks: section({ scsi0: disk, scsi1: disk, ide0: disk, virtio3: disk }),
  networks: section({ net0: machineNetwork, net1: machineNetwork }),
  cloudInit: section({ user: some(["me", "you"]), storage: fc.constant("local-lvm"), upgrade: fc.boolean() }),
  agent: fc.boolean(),
  extraConfig: section({
    balloon: some([0, 512, 1024]),
    hotplug: some(["0", "1", "network,disk", "network,disk,usb,memory,cpu"]),
    tablet: fc.boolean(),
    startup: some(["order=1", "order=2,up=5", "up=5,order=2"]),
    machine: some(["q35", "i440fx"]),
    sata1: some(["local:iso/a.iso,media=cdrom", "none,media=cdrom"]),
  }),
});

const mount = fc
  .tuple(fc.record({ ...volume, path: some(["/data", "/srv"]) }), any({ backup: fc.boolean() }))
  .map(([place, options]) => ({ ...place, ...options }));

const containerNetwork = fc
  .tuple(
    fc.record({ bridge: some(["vmbr0", "vmbr1"]) }),
    any({ ipv4: some(["dhcp", "10.0.0.5/24"]), firewall: fc.boolean() }),
  )
  .map(([bridge, options]) => ({ ...bridge, ...options }));

const container = fc
  .tuple(
    fc.record({ from: fc.constant({ template: "local:vztmpl/debian-12.tar.zst" }), rootfs: fc.record(volume) }),
    any({
      ...SHARED,
      cores: fc.integer({ min: 1, max: 4 }),
      memory: some(["1Gi", "2Gi"]),
      swap: some([0, "1Gi"]),
      mounts: section({ mp0: mount, mp1: mount }),
      networks: section({ net0: containerNetwork, net1: containerNetwork }),
      features: section({ nesting: fc.boolean(), fuse: fc.boolean() }),
      unprivileged: fc.boolean(),
      nameservers: fc.constant(["10.0.0.1"]),
      extraConfig: section({
        timezone: some(["host", "UTC"]),
        dev0: some(["/dev/a", "/dev/b"]),
        startup: fc.constant("order=1"),
      }),
    }),
  )
  .map(([required, rest]) => ({ ...required, ...rest }));

function manifest(name: string, index: number): fc.Arbitrary<Manifest> {
  const frame = (
    kind: string,
    spec: Record<string, unknown>,
    rest: { adopt: boolean; depends: boolean; node: string },
  ) => {
    const declared = Object.entries(spec).filter(([, value]) => value !== undefined);
    const earlier = NAMES[index - 1];
    return {
      apiVersion: "proxmoor.dev/v1",
      kind,
      metadata: { name, ...(rest.adopt && { annotations: { "proxmoor.dev/adopt": "true" } }) },
      spec: {
        node: rest.node,
        ...Object.fromEntries(declared),
        ...(rest.depends && earlier !== undefined && { dependsOn: [`vm/${earlier}`, `ct/${earlier}`] }),
      },
    };
  };
  const rest = fc.record({
    adopt: fc.boolean(),
    depends: fc.boolean(),
    node: fc.oneof({ weight: 6, arbitrary: fc.constant("pve1") }, { weight: 1, arbitrary: some(["pve2", "pve9"]) }),
  });
  // mostly the same kind for a name, so that many guests of the first run are there to be changed in the second
  const weight = index % 2 === 0 ? 6 : 1;
  return fc.oneof(
    { weight, arbitrary: fc.tuple(machine, rest).map(([spec, more]) => frame("VirtualMachine", spec, more)) },
    { weight: 7 - weight, arbitrary: fc.tuple(container, rest).map(([spec, more]) => frame("Container", spec, more)) },
  );
}

/** A set of manifests with different names. */
export const manifests: fc.Arbitrary<readonly Manifest[]> = fc
  .tuple(...NAMES.map((name, index) => fc.option(manifest(name, index))))
  .map((all) => all.filter((one) => one !== null));

/** What the manifests declare; those that validation refuses are left out. */
export function desiredOf(all: readonly Manifest[]): DesiredState {
  const place = { file: "manifests.yaml", line: 1, column: 1 };
  const { guests } = validateManifests(all.map((value) => ({ file: place.file, value, at: () => place })));
  return { guests };
}

/** Where everything begins: two nodes, and a template. */
export const EMPTY_CLUSTER: ModelCluster = parseCluster(`
nodes: { pve1: online, pve2: offline }
storages: { local-lvm: local, local: local }
guests:
  9000:
    template: true
    status: stopped
    id: other
    config:
      name: debian-12
      memory: 1024
      scsi0: local-lvm:base-9000-disk-0,size=8G
      net0: virtio=BC:24:11:90:00:00,bridge=vmbr0
      description: The golden image
`);

/** Something that happens in PVE between two runs. */
export type Incident = (guest: ModelGuest) => ModelGuest | undefined;

function edited(config: Readonly<Record<string, string>>): Incident {
  return (guest) => ({ ...guest, current: { ...guest.current, ...config } });
}

const INCIDENTS: readonly Incident[] = [
  () => undefined,
  (guest) => ({ ...guest, status: guest.status === "stopped" ? "running" : "stopped" }),
  (guest) => ({ ...guest, status: "paused" }),
  (guest) => ({ ...guest, status: "unknown" }),
  (guest) => ({ ...guest, unreadable: "got timeout" }),
  (guest) => ({ ...guest, pending: guest.status === "stopped" ? {} : { cores: "3", ostype: "l26" } }),
  edited({ cores: "4", onboot: "1", tags: "someone;was-here" }),
  edited({ description: "Words of a person without a marker" }),
  edited({ smbios1: "uuid=dddddddd-0000-4000-8000-000000000000", description: "another guest altogether" }),
  edited({ unused0: "local-lvm:vm-1-disk-9", protection: "1" }),
  edited({ startup: "up=5,order=2", memory: "3072", balloon: "256" }),
];

/** What happens to the guests with the lowest vmids, one incident each. */
export const incidents: fc.Arbitrary<readonly Incident[]> = fc.array(some(INCIDENTS), { maxLength: 4 });

/** The cluster after the incidents, and with a stranger who has one of our names. */
export function struck(cluster: ModelCluster, what: readonly Incident[], stranger: boolean): ModelCluster {
  const guests = new Map<number, ModelGuest>();
  for (const [index, guest] of [...cluster.guests.values()].filter((one) => !one.template).entries()) {
    const after = (what[index] ?? ((one) => one))(guest);
    if (after) guests.set(guest.vmid, after);
  }
  for (const guest of cluster.guests.values()) if (guest.template) guests.set(guest.vmid, guest);
  const foreign = parseCluster("guests: { 150: { id: other, config: { name: a, cores: 2 } } }");
  return { ...cluster, guests: new Map([...guests, ...(stranger ? foreign.guests : [])]) };
}
