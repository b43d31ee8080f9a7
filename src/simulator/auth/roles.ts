import type { AccessState } from "../state/model.js";

const list = (text: string): string[] => text.split(",");

const VM_CONFIG = list(
  "VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk,VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options",
);
const VM_AGENT = list(
  "VM.GuestAgent.Audit,VM.GuestAgent.FileRead,VM.GuestAgent.FileSystemMgmt,VM.GuestAgent.FileWrite",
);
const VM_ADMIN = [
  ...list("VM.Allocate,VM.Audit,VM.Backup,VM.Clone,VM.Console,VM.GuestAgent.Unrestricted,VM.Migrate,VM.PowerMgmt"),
  ...list("VM.Replicate,VM.Snapshot,VM.Snapshot.Rollback"),
  ...VM_CONFIG,
  ...VM_AGENT,
];
const DATASTORE = list("Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit");
const REST = list(
  "Group.Allocate,Mapping.Audit,Mapping.Use,Pool.Allocate,Pool.Audit,Realm.AllocateUser,SDN.Allocate,SDN.Audit,SDN.Use,Sys.Audit,Sys.Console,Sys.Syslog,User.Modify",
);
const ROOT_ONLY = list(
  "Mapping.Modify,Permissions.Modify,Realm.Allocate,Sys.AccessNetwork,Sys.Incoming,Sys.Modify,Sys.PowerMgmt",
);

const ADMIN = [...VM_ADMIN, ...DATASTORE, ...REST].sort();

/** Every privilege of PVE 9.2, sorted. */
export const ALL_PRIVILEGES: readonly string[] = [...ADMIN, ...ROOT_ONLY].sort();

/** PVE's own roles (BEHAVIOUR section 2; lists as recorded in the initial state). */
export const SPECIAL_ROLES: Readonly<Record<string, readonly string[]>> = {
  Administrator: ALL_PRIVILEGES,
  NoAccess: [],
  PVEAdmin: ADMIN,
  PVEAuditor: list("Datastore.Audit,Mapping.Audit,Pool.Audit,SDN.Audit,Sys.Audit,VM.Audit,VM.GuestAgent.Audit"),
  PVEDatastoreAdmin: DATASTORE,
  PVEDatastoreUser: list("Datastore.AllocateSpace,Datastore.Audit"),
  PVEMappingAdmin: list("Mapping.Audit,Mapping.Modify,Mapping.Use"),
  PVEMappingUser: list("Mapping.Audit,Mapping.Use"),
  PVEPoolAdmin: list("Pool.Allocate,Pool.Audit"),
  PVEPoolUser: list("Pool.Audit"),
  PVESDNAdmin: list("SDN.Allocate,SDN.Audit,SDN.Use"),
  PVESDNUser: list("SDN.Audit,SDN.Use"),
  PVESysAdmin: list("Sys.Audit,Sys.Console,Sys.Syslog"),
  PVETemplateUser: list("VM.Audit,VM.Clone"),
  PVEUserAdmin: list("Group.Allocate,Realm.AllocateUser,User.Modify"),
  PVEVMAdmin: [...VM_ADMIN].sort(),
  PVEVMUser: [
    ...list("VM.Audit,VM.Backup,VM.Config.CDROM,VM.Config.Cloudinit,VM.Console"),
    ...VM_AGENT,
    "VM.PowerMgmt",
  ],
};

/** PVE's own roles never change. */
export const isOwnRole = (role: string): boolean => SPECIAL_ROLES[role] !== undefined;

/** The privileges of a role; undefined when there is no such role. */
export function rolePrivileges(access: AccessState, role: string): readonly string[] | undefined {
  return SPECIAL_ROLES[role] ?? access.roles[role];
}
