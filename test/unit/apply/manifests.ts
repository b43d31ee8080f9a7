/** Small manifests for the tests of the engine; `spec` is what stands inside the braces. */
export function vm(name: string, spec = "power: running"): string {
  return manifest("VirtualMachine", name, `node: pve1, ${spec}`);
}

export function clone(name: string, spec = "power: stopped"): string {
  return vm(name, `from: { template: debian-12 }, ${spec}`);
}

export function ct(name: string, spec = "power: running"): string {
  return manifest(
    "Container",
    name,
    `node: pve2, from: { template: "local:vztmpl/debian.tar.zst" }, rootfs: { storage: data, size: 8Gi }, ${spec}`,
  );
}

function manifest(kind: string, name: string, spec: string): string {
  return `---\napiVersion: proxmoor.dev/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: { ${spec} }\n`;
}
