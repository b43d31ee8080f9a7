import fc from "fast-check";

import type { FieldValue } from "../../../src/desired/types.js";

const MIB = 2 ** 20;

export type Fields = Record<string, FieldValue>;

/** What the other side allows: anything for the codecs alone, what there is for a PVE. */
export interface World {
  readonly storage: fc.Arbitrary<string>;
  readonly bridge: fc.Arbitrary<string>;
  readonly formats: readonly string[];
  readonly features: readonly string[];
  readonly privileged: boolean;
  readonly bindMounts: boolean;
}

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const bool = fc.boolean();
const mac = fc.stringMatching(/^02(:[0-9A-F]{2}){5}$/);
export const size = fc.integer({ min: 1024, max: 2 ** 24 }).map((kib) => kib * 1024);
const address = fc.constantFrom("dhcp", "10.0.0.5/24", "192.168.7.1/16");
const key = word.map(
  (user) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICGhCXbP+pE85/3X1Sd028VJyTp1y5GkUiNuk8Sc25Qt ${user}@desk`,
);

/** Any part of the fields below a prefix; those of `required` always. */
function device(
  prefix: string,
  optional: Record<string, fc.Arbitrary<FieldValue>>,
  required: Record<string, fc.Arbitrary<FieldValue>>,
) {
  return fc
    .record({ ...optional, ...required }, { requiredKeys: Object.keys(required) })
    .map((fields) => Object.fromEntries(Object.entries(fields).map(([field, value]) => [`${prefix}.${field}`, value])));
}

/** PVE takes no gateway without an address of its kind [qemucreate/refused.ipconfig-gw-alone]. */
function withoutLoneGateways(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([path]) => {
      const [, device, version] = /^(.*)\.gateway(6?)$/.exec(path) ?? [];
      return device === undefined || `${device}.${version === "6" ? "ipv6" : "ipv4"}` in fields;
    }),
  );
}

function merged(...parts: fc.Arbitrary<Fields>[]): fc.Arbitrary<Fields> {
  return fc.tuple(...parts).map((all) => withoutLoneGateways(Object.assign({}, ...all) as Fields));
}

const maybe = (part: fc.Arbitrary<Fields>): fc.Arbitrary<Fields> => fc.oneof(fc.constant<Fields>({}), part);
const words = fc.uniqueArray(word, { minLength: 1, maxLength: 4 }).map((list) => list.sort());
const net = {
  vlan: fc.integer({ min: 1, max: 4094 }),
  firewall: bool,
  rate: fc.constantFrom(0.5, 12, 12.5),
  // a container may have no more than its bridge, which has 1500 (BEHAVIOUR 1)
  mtu: fc.integer({ min: 64, max: 1500 }),
  linkDown: bool,
};
const ips = {
  ipv4: address,
  gateway: fc.constant("10.0.0.1"),
  ipv6: fc.constantFrom("auto", "dhcp", "fd00::2/64"),
  gateway6: fc.constant("fd00::1"),
};

const anyDisk = {
  cache: fc.constantFrom("none", "writeback"),
  discard: bool,
  backup: bool,
  replicate: bool,
  serial: word,
};
/** The options that PVE knows for each bus [qemudisk/option.ssd-virtio, option.ro-sata]. */
const disks: Record<string, Record<string, fc.Arbitrary<FieldValue>>> = {
  scsi0: { ...anyDisk, aio: fc.constant("io_uring"), ssd: bool, iothread: bool, readOnly: bool },
  virtio3: { ...anyDisk, iothread: bool, readOnly: bool },
  ide2: { ...anyDisk, ssd: bool },
};

/** The fields of a VM, any part of them. */
export function vmFields({ storage, bridge, formats }: World): fc.Arbitrary<Fields> {
  return merged(
    fc.record(
      {
        name: word,
        memory: fc.integer({ min: 16, max: 4096 }).map((mib) => mib * MIB),
        agent: bool,
        onBoot: bool,
        tags: words,
        description: fc.constantFrom("one", "one\ntwo, with = and ;", "ü <!-- a comment -->"),
        "cpu.type": fc.constantFrom("host", "x86-64-v2-AES"),
        "cpu.cores": fc.integer({ min: 1, max: 8 }),
        "cpu.sockets": fc.integer({ min: 1, max: 4 }),
        "cpu.limit": fc.constantFrom(0, 1.5, 8),
        "cpu.units": fc.integer({ min: 1, max: 1000 }),
        "cloudInit.user": word,
        "cloudInit.sshKeys": fc.array(key, { minLength: 1, maxLength: 3 }),
        "cloudInit.nameservers": fc.constant(["1.1.1.1", "fd00::53"]),
        "cloudInit.searchDomain": word,
        "cloudInit.upgrade": bool,
        "cloudInit.storage": storage,
        "extraConfig.ostype": fc.constant("l26"),
      },
      { requiredKeys: [] },
    ),
    ...Object.entries(disks).map(([slot, options]) =>
      maybe(
        device(`disks.${slot}`, options, {
          storage,
          size,
          ...(formats.length === 0 ? {} : { format: fc.constantFrom(...formats) }),
        }),
      ),
    ),
    ...["net0", "net31"].map((slot) =>
      maybe(
        device(
          `networks.${slot}`,
          { ...net, queues: fc.integer({ min: 0, max: 64 }) },
          { bridge, mac, model: fc.constantFrom("virtio", "e1000") },
        ),
      ),
    ),
    maybe(device("cloudInit.addresses.net0", ips, { ipv4: address })),
  );
}

/** The fields of a container, any part of them but what a container always has. */
export function containerFields(world: World): fc.Arbitrary<Fields> {
  const { storage, bridge, features, privileged, bindMounts } = world;
  return merged(
    fc.record(
      {
        hostname: word,
        memory: fc.integer({ min: 16, max: 4096 }).map((mib) => mib * MIB),
        swap: fc.integer({ min: 0, max: 512 }).map((mib) => mib * MIB),
        cores: fc.integer({ min: 1, max: 8 }),
        unprivileged: privileged ? bool : fc.constant(true),
        onBoot: bool,
        tags: words,
        description: fc.constantFrom("one", "one\ntwo"),
        nameservers: fc.constant(["10.0.0.1"]),
        searchDomain: word,
        ...Object.fromEntries(features.map((feature) => [`features.${feature}`, bool])),
      },
      { requiredKeys: ["unprivileged"] },
    ),
    device("rootfs", { readOnly: bool, replicate: bool }, { storage, size }),
    maybe(
      device(
        "mounts.mp0",
        { backup: bool, readOnly: bool, replicate: bool },
        { storage, size, path: fc.constant("/srv") },
      ),
    ),
    ...(bindMounts
      ? [maybe(device("mounts.mp9", {}, { source: fc.constant("/srv/x"), path: fc.constant("/x") }))]
      : []),
    maybe(device("networks.net1", { ...net, ...ips }, { name: fc.constant("eth7"), bridge, mac })),
  );
}
