/**
 * Certificates and keys, checked before a peer sees them: neither Deno's nor
 * Node's sockets say at once what is wrong with them.
 *
 * @module
 */

import { reasonOf } from "../errors.ts";
import { nodeCrypto } from "../node_builtins.ts";
import { TransportError } from "./errors.ts";
import type { TlsOptions } from "./image_end.ts";

/** A certificate and its key. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/**
 * The certificate and key to show, if there are any.
 *
 * @param name of the end
 * @throws {TransportError} END_TLS when they are not PEM, do not belong
 * together, or expired
 */
export function checkedKeyPair(
  name: string,
  { cert, key, caCerts = [] }: TlsOptions,
): KeyPair | undefined {
  for (const ca of caCerts) parse(name, "a certificate of caCerts", ca);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw wrong(name, "a certificate and a key go together");
  }
  const x509 = parse(name, "the certificate", cert);
  let isPair: boolean;
  try {
    isPair = x509.checkPrivateKey(nodeCrypto().createPrivateKey(key));
  } catch (cause) {
    throw wrong(name, `the key cannot be read: ${reasonOf(cause)}`, cause);
  }
  if (!isPair) throw wrong(name, "the key is not that of the certificate");
  const now = Date.now();
  if (Date.parse(x509.validTo) < now) {
    throw wrong(name, `our certificate expired: ${x509.validTo}`);
  }
  if (Date.parse(x509.validFrom) > now) {
    throw wrong(name, `our certificate is not valid yet: ${x509.validFrom}`);
  }
  return { cert, key };
}

function parse(name: string, what: string, pem: string) {
  try {
    return new (nodeCrypto().X509Certificate)(pem);
  } catch (cause) {
    throw wrong(name, `${what} cannot be read: ${reasonOf(cause)}`, cause);
  }
}

function wrong(end: string, reason: string, cause?: unknown): TransportError {
  return new TransportError("END_TLS", `Cannot use ${end}: ${reason}`, {
    end,
    hint: "see docs/ends.md for how certificates are made",
    cause,
  });
}
