interface Option {
  readonly key: string;
  value: string;
  /** Written without its key (`virtio,bridge=vmbr0`), so that it is written back the same way. */
  readonly bare: boolean;
}

/**
 * PVE's property strings, `key=value,key=value`, in which one default key may stand without its name.
 * Keeps order and spelling of everything it is not asked to change, so that options which Proxmoor does not
 * know survive a rewrite.
 */
export class PropertyString {
  private constructor(
    private readonly options: Option[],
    private readonly defaultKey: string | undefined,
  ) {}

  /** Reads a property string; elements without `=` belong to `defaultKey`, or are keys without value where there is none. */
  static parse(text: string, defaultKey?: string): PropertyString {
    const options = text
      .split(",")
      .filter((part) => part.trim() !== "")
      .map((part): Option => {
        const equals = part.indexOf("=");
        if (equals > 0) return { key: part.slice(0, equals).trim(), value: part.slice(equals + 1), bare: false };
        return defaultKey === undefined
          ? { key: part.trim(), value: "", bare: true }
          : { key: defaultKey, value: part.trim(), bare: true };
      });
    return new PropertyString(options, defaultKey);
  }

  get(key: string): string | undefined {
    return this.options.find((option) => option.key === key)?.value;
  }

  /** Changes an option in its place; a new default key goes to the front, any other to the end. */
  set(key: string, value: string): void {
    const known = this.options.find((option) => option.key === key);
    if (known) known.value = value;
    else if (key === this.defaultKey) this.options.unshift({ key, value, bare: true });
    else this.options.push({ key, value, bare: false });
  }

  /** Removes an option. */
  delete(key: string): void {
    const index = this.options.findIndex((option) => option.key === key);
    if (index >= 0) this.options.splice(index, 1);
  }

  entries(): readonly (readonly [string, string])[] {
    return this.options.map(({ key, value }) => [key, value]);
  }

  toString(): string {
    return this.options
      .map(({ key, value, bare }) => (bare ? (key === this.defaultKey ? value : key) : `${key}=${value}`))
      .join(",");
  }
}
