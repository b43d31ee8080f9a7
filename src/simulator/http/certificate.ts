import { X509Certificate } from "node:crypto";
import { generate } from "selfsigned";

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000;

/** A self-signed certificate for this machine, as a fresh PVE node has one. */
export async function makeCertificate(host: string, now: number): Promise<Certificate> {
  const names = [
    { type: 2 as const, value: "localhost" },
    { type: 7 as const, ip: "127.0.0.1" },
    ...(/^[\d.]+$/.test(host) && host !== "127.0.0.1" ? [{ type: 7 as const, ip: host }] : []),
  ];
  const made = await generate([{ name: "commonName", value: "proxmoor-simulator" }], {
    keyType: "ec",
    algorithm: "sha256",
    notBeforeDate: new Date(now - 24 * 3600 * 1000),
    notAfterDate: new Date(now + TEN_YEARS_MS),
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "keyUsage", digitalSignature: true, keyCertSign: true },
      { name: "subjectAltName", altNames: names },
    ],
  });
  return { key: made.private, cert: made.cert };
}

/** SHA-256 as PVE prints it: `AA:BB:…`. */
export function fingerprintOf(certificate: Certificate): string {
  return new X509Certificate(certificate.cert).fingerprint256;
}
