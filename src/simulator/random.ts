/**
 * A seeded source of everything PVE makes up (uuids, MAC addresses, pids), so that one seed gives one run.
 * The generator is splitmix32; its state is one number and goes into the state file.
 */
export class Random {
  constructor(private state: number) {}

  /** The generator's position, to go on from after a restart. */
  get position(): number {
    return this.state;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    this.state = (this.state + 0x9e3779b9) | 0;
    let mixed = this.state ^ (this.state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  }

  hex(digits: number): string {
    let text = "";
    while (text.length < digits) text += this.below(16).toString(16);
    return text;
  }

  /** A version 4 uuid in lower case. */
  uuid(): string {
    const variant = (8 + this.below(4)).toString(16);
    return `${this.hex(8)}-${this.hex(4)}-4${this.hex(3)}-${variant}${this.hex(3)}-${this.hex(12)}`;
  }

  /** A MAC address that begins with `prefix` (`BC:24:11`). */
  mac(prefix: string): string {
    const bytes = prefix.split(":");
    while (bytes.length < 6) bytes.push(this.hex(2));
    return bytes.join(":").toUpperCase();
  }
}
