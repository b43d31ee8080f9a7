import type { Guest } from "../../state/model.js";
import type { World } from "../../world.js";
import { bootDiskSize } from "./drives.js";
import { isNetKey, parseNet } from "./nets.js";
import { memoryBytes, shownCpus } from "./status.js";

const MEMORY_BLOCK = 128 * 2 ** 20;

export const hostName = (guest: Guest): string => guest.config["name"] ?? `VM${guest.vmid}`;

function interfaces(guest: Guest): unknown {
  const lo = {
    name: "lo",
    "hardware-address": "00:00:00:00:00:00",
    "ip-addresses": [{ "ip-address": "127.0.0.1", "ip-address-type": "ipv4", prefix: 8 }],
    statistics: statistics(0),
  };
  const cards = Object.keys(guest.config)
    .filter(isNetKey)
    .sort()
    .map((key, index) => ({
      name: `eth${index}`,
      "hardware-address": (parseNet(guest.config[key] ?? "")["macaddr"] ?? "").toLowerCase(),
      "ip-addresses": [address(guest, Number(key.slice(3)))],
      statistics: statistics(1024),
    }));
  return [lo, ...cards];
}

function statistics(bytes: number): Record<string, number> {
  const of = (way: string): Record<string, number> => ({
    [`${way}-bytes`]: bytes,
    [`${way}-packets`]: bytes / 128,
    [`${way}-errs`]: 0,
    [`${way}-dropped`]: 0,
  });
  return { ...of("rx"), ...of("tx") };
}

/** A static address of cloud-init, else one that follows from the vmid. */
function address(guest: Guest, index: number): Record<string, unknown> {
  const given = /(?:^|,)ip=(\d[^,/]*)\/(\d+)/.exec(guest.config[`ipconfig${index}`] ?? "");
  const made = `10.0.${(guest.vmid >> 8) & 255}.${guest.vmid & 255}`;
  return { "ip-address": given?.[1] ?? made, "ip-address-type": "ipv4", prefix: Number(given?.[2] ?? 16) };
}

const SUPPORTED =
  "guest-exec guest-exec-status guest-file-close guest-file-open guest-file-read guest-file-write guest-fsfreeze-freeze guest-fsfreeze-status guest-fsfreeze-thaw guest-fstrim guest-get-fsinfo guest-get-host-name guest-get-osinfo guest-get-time guest-get-timezone guest-get-users guest-get-vcpus guest-info guest-network-get-interfaces guest-ping guest-set-user-password guest-shutdown guest-suspend-ram".split(
    " ",
  );

/** What the agent of a Debian says of its system. */
export const AGENT_FACTS: Readonly<Record<string, (world: World, guest: Guest) => unknown>> = {
  info: () => ({
    version: "9.2.0",
    supported_commands: SUPPORTED.map((name) => ({ name, enabled: true, "success-response": true })),
  }),
  "get-host-name": (_world, guest) => ({ "host-name": hostName(guest) }),
  "get-osinfo": () => ({
    id: "debian",
    name: "Debian GNU/Linux",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    version: "12 (bookworm)",
    "version-id": "12",
    machine: "x86_64",
    "kernel-release": "6.1.0-26-amd64",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.112-1",
  }),
  "get-time": (world) => world.clock.now() * 1e6,
  "get-timezone": () => ({ zone: "UTC", offset: 0 }),
  "get-users": () => [],
  "get-vcpus": (world, guest) =>
    Array.from({ length: shownCpus(world, guest) }, (_, id) => ({
      "logical-id": id,
      online: true,
      "can-offline": id > 0,
    })),
  "get-fsinfo": (_world, guest) => [
    {
      name: "sda1",
      mountpoint: "/",
      type: "ext4",
      "total-bytes": bootDiskSize(guest.config),
      "used-bytes": Math.floor(bootDiskSize(guest.config) / 4),
      disk: [],
    },
  ],
  "get-memory-blocks": (_world, guest) =>
    Array.from({ length: Math.ceil(memoryBytes(guest.config) / MEMORY_BLOCK) }, (_, index) => ({
      "phys-index": index,
      online: true,
      "can-offline": false,
    })),
  "get-memory-block-info": () => ({ size: MEMORY_BLOCK }),
  "network-get-interfaces": (_world, guest) => interfaces(guest),
};
