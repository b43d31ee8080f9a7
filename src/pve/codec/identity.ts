import type { Kind } from "../../model/ref.js";
import { PropertyString } from "./property-string.js";

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const MARKER = new RegExp(`[ \\t]*<!-- proxmoor\\.dev/id: (${UUID}) -->[ \\t]*\\r?\\n?`, "gi");

/** The line that names a guest in its description: an HTML comment, which PVE's Markdown view does not show (ADR 0004). */
export function identityMarker(identity: string): string {
  return `<!-- proxmoor.dev/id: ${identity.toLowerCase()} -->`;
}

/** What people wrote of a description: without markers and without the line ends that PVE adds or drops. */
export function plainDescription(description: string): string {
  return description.replace(MARKER, "").trimEnd();
}

/** People's text with the marker as its last line. */
export function markedDescription(description: string, identity: string): string {
  const plain = plainDescription(description);
  return plain === "" ? identityMarker(identity) : `${plain}\n${identityMarker(identity)}`;
}

/** The uuids of the markers in a description, lower case. */
export function markersOf(description: string): string[] {
  return [...description.matchAll(MARKER)].map((match) => (match[1] ?? "").toLowerCase());
}

/** The uuid of `smbios1`, lower case; undefined where there is none. */
export function smbiosUuid(smbios: string): string | undefined {
  return PropertyString.parse(smbios).get("uuid")?.toLowerCase();
}

/** `smbios1` with this uuid, its other options kept. */
export function withSmbiosUuid(smbios: string, identity: string): string {
  const options = PropertyString.parse(smbios);
  options.set("uuid", identity.toLowerCase());
  return options.toString();
}

/** What else `smbios1` says: the uuid is the identity, and nothing to declare. */
export function withoutSmbiosUuid(smbios: string): string {
  const options = PropertyString.parse(smbios);
  options.delete("uuid");
  return options.toString();
}

/** Every identity that a guest's configuration carries, each once, lower case; of a VM the smbios uuid first. */
export function identitiesOf(kind: Kind, config: Readonly<Record<string, string>>): string[] {
  const uuid = kind === "VirtualMachine" ? smbiosUuid(config["smbios1"] ?? "") : undefined;
  return [...new Set([...(uuid === undefined ? [] : [uuid]), ...markersOf(config["description"] ?? "")])];
}
