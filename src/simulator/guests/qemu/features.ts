export type Features = ReadonlySet<string>;

/** PVE's `parse_hotplug_features`: unset or 1 is network, disk and usb. */
export function hotplugFeatures(value: string | undefined): Features {
  const text = value === undefined || value === "1" ? "network,disk,usb" : value;
  return new Set(text === "0" ? [] : text.split(/[,;\s]+/).filter((feature) => feature !== ""));
}
