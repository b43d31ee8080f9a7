import type { TLSSocket } from "node:tls";

import { buildConnector } from "undici";

import { ProxmoorError } from "../model/errors.js";
import { parseFingerprint } from "./settings.js";
import type { PveTls } from "./settings.js";

/** A connection that was never made: nothing of the request was sent. */
export class ConnectError extends Error {
  constructor(readonly reason: Error & { code?: string }) {
    super(reason.message);
    this.name = "ConnectError";
  }
}

/** Causes of a failed handshake that are about trust or the protocol rather than about reaching the host. */
const TLS_FAILURE = /^(ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH)/;

/**
 * Connects and decides on the server's certificate before a byte of the request is sent. Node's own check runs too
 * (chain and host name, `authorizationError`); it is judged here, instead of by `rejectUnauthorized`, because only
 * then the refusal can name the certificate that was seen. No TLS session is resumed: on a resumed one Node does not
 * check the host name.
 *
 * @throws ProxmoorError CONFIG_INVALID for a fingerprint that is none.
 */
export function createConnector(tls: PveTls, timeoutMs: number): buildConnector.connector {
  const pinned = tls.fingerprint === undefined ? undefined : parseFingerprint(tls.fingerprint);
  const connect = buildConnector({
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    rejectUnauthorized: false,
    maxCachedSessions: 0,
    timeout: timeoutMs,
  });
  return (options, callback) => {
    connect(options, (error, socket) => {
      if (error !== null) {
        callback(new ConnectError(error), null);
        return;
      }
      const refusal = judge(socket as TLSSocket, options.host ?? options.hostname, { ...tls, fingerprint: pinned });
      if (refusal === undefined) {
        callback(null, socket);
        return;
      }
      socket.destroy();
      callback(new ConnectError(refusal), null);
    });
  };
}

/** Why the certificate is refused; undefined where it is trusted. */
function judge(socket: TLSSocket, host: string, tls: PveTls): ProxmoorError | undefined {
  const seen = socket.getPeerCertificate().fingerprint256;
  if (tls.fingerprint !== undefined) {
    if (seen === tls.fingerprint) return undefined;
    return refused(host, seen, `is not the pinned one (${tls.fingerprint})`);
  }
  if (tls.insecure === true || socket.authorized) return undefined;
  return refused(host, seen, `is not trusted (${String(socket.authorizationError)})`);
}

function refused(host: string, seen: string | undefined, why: string): ProxmoorError {
  const fingerprint = seen ?? "unknown";
  return new ProxmoorError("PVE_TLS", `the certificate of ${host} ${why}; its SHA-256 fingerprint is ${fingerprint}`, {
    subject: host,
    remedy:
      "Compare it with System, Certificates in PVE; if it is the same, pin it with " +
      `PROXMOX_VE_FINGERPRINT=${fingerprint}, or name its CA with PROXMOX_VE_CA_FILE.`,
    facts: { fingerprint },
  });
}

/** The error of a connection that was not made: PVE_TLS where it is about trust, else PVE_UNREACHABLE. */
export function connectFailure({ reason }: ConnectError, host: string): ProxmoorError {
  if (reason instanceof ProxmoorError) return reason;
  const cause = reason.code ?? reason.name;
  if (TLS_FAILURE.test(cause)) {
    return new ProxmoorError("PVE_TLS", `no TLS connection to ${host} could be made: ${reason.message}`, {
      subject: host,
      remedy: "Check that the address and port are PVE's own (8006), and its certificate.",
    });
  }
  return new ProxmoorError("PVE_UNREACHABLE", `${host} could not be reached: ${reason.message || cause}`, {
    subject: host,
    retry: "later",
    remedy: "Check the address, the network and that pveproxy runs there.",
    facts: { cause },
  });
}
