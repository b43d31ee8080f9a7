import type { Call } from "../../call.js";
import { fail, refuse } from "../../fault.js";
import { isRoot } from "../../auth/login.js";
import { partsOf } from "../../table/check.js";
import { isDriveKey, isUnusedKey } from "./drives.js";

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** Which privilege a config key needs [BEHAVIOUR section 2]; keys in none of these are root's. */
const BY_PRIVILEGE: readonly (readonly [string, ReadonlySet<string>])[] = [
  ["VM.Config.CPU", words("cores cpu cpulimit cpuunits numa smp sockets vcpus")],
  ["VM.Config.Memory", words("memory balloon shares allow-ksm")],
  ["VM.Config.HWType", words("acpi hotplug kvm machine scsihw smbios1 tablet vga watchdog audio0 rng0")],
  [
    "VM.Config.Options",
    words(
      "agent autostart bios description keyboard localtime migrate_downtime migrate_speed name onboot ostype protection reboot startdate startup tdf template",
    ),
  ],
  ["VM.PowerMgmt", words("freeze")],
  ["VM.Config.Disk", words("boot bootdisk vmstatestorage")],
];
const CLOUD_INIT = words("ciuser cipassword citype ciupgrade cicustom sshkeys nameserver searchdomain");

/** Where a guest's privileges may come from: its own path, or the pool that it is made in. */
export interface Scope {
  readonly vmid: number;
  readonly pool?: string | undefined;
}

export function checkVm(call: Call, scope: Scope, names: readonly string[], any = false): void {
  if (scope.pool !== undefined && call.holds(`/pool/${scope.pool}`, names, any)) return;
  call.require(`/vms/${scope.vmid}`, names, any);
}

/**
 * PVE's `check_vm_modify_config_perm`. Drives, unused disks, serial ports, USB and PCI devices and tags depend on
 * the value and are tested where they are set.
 */
export function checkKeys(call: Call, scope: Scope, keys: readonly string[]): void {
  if (isRoot(call.login)) return;
  for (const key of keys) {
    if (isDriveKey(key) || key === "cdrom" || key === "tags" || isUnusedKey(key)) continue;
    if (/^(serial|usb|hostpci)\d+$/.test(key)) continue;
    const known = BY_PRIVILEGE.find(([, set]) => set.has(key));
    if (known !== undefined) checkVm(call, scope, [known[0]]);
    else if (/^numa\d+$/.test(key)) checkVm(call, scope, ["VM.Config.CPU"]);
    else if (/^net\d+$/.test(key)) checkVm(call, scope, ["VM.Config.Network"]);
    else if (CLOUD_INIT.has(key) || /^ipconfig\d+$/.test(key))
      checkVm(call, scope, ["VM.Config.Cloudinit", "VM.Config.Network"], true);
    else if (/^virtiofs\d+$/.test(key)) checkVm(call, scope, ["VM.Config.Disk"]);
    else if (key === "vmstate") checkVm(call, scope, ["VM.Config.Disk", "VM.PowerMgmt"]);
    else fail(`only root can set '${key}' config`);
    if (key === "startup") call.require("/", ["Sys.Modify"]);
  }
}

/** Devices of the host: what only root may pass through, by value; `verb` is PVE's word for serial ports. */
export function checkDevice(call: Call, scope: Scope, key: string, value: string, verb = "set"): void {
  if (isRoot(call.login)) return;
  if (/^serial\d+$/.test(key)) {
    if (value === "socket") checkVm(call, scope, ["VM.Config.HWType"]);
    else fail(`only root can ${verb} '${key}' config for real devices`);
  } else if (/^usb\d+$/.test(key)) checkUsb(call, scope, key, value);
  else if (/^hostpci\d+$/.test(key)) checkPci(call, scope, key, value);
  else if (key === "rng0" && partsOf(value, "pve-qm-rng")["source"] === "/dev/hwrng")
    call.require("/mapping/hwrng", ["Mapping.Use"]);
  else if (/^virtiofs\d+$/.test(key))
    call.require(`/mapping/dir/${partsOf(value, "virtiofs")["dirid"] ?? ""}`, ["Mapping.Use"]);
}

function checkUsb(call: Call, scope: Scope, key: string, value: string): void {
  const usb = partsOf(value, "usb");
  const mapping = usb["mapping"];
  checkVm(call, scope, ["VM.Config.HWType"]);
  if (mapping !== undefined) call.require(`/mapping/usb/${mapping}`, ["Mapping.Use"]);
  else if (!/^spice$/i.test(usb["host"] ?? "")) fail(`only root can set '${key}' config for real devices`);
}

function checkPci(call: Call, scope: Scope, key: string, value: string): void {
  const pci = partsOf(value, "pve-qm-hostpci");
  const mapping = pci["mapping"];
  if (mapping === undefined) fail(`only root can set '${key}' config for non-mapped devices`);
  if (pci["romfile"] !== undefined) refuse({ [key]: "only root@pam can set 'romfile' option" });
  call.require(`/mapping/pci/${mapping}`, ["Mapping.Use"]);
  checkVm(call, scope, ["VM.Config.HWType"]);
}

/** Options that only root@pam itself may use: refused as a wrong parameter. */
export function rootOnly(call: Call, ...names: readonly string[]): void {
  if (isRoot(call.login)) return;
  for (const name of names) if (call.has(name)) refuse({ [name]: "Only root may use this option." });
}
