/**
 * What both sides check of the messages that begin and end a session.
 *
 * @module
 */

import { sameBytes } from "../state/mod.ts";
import { MigrationError } from "./errors.ts";
import { PROTOCOL, sessionMessage } from "./messages.ts";
import type { Frame, Wire } from "./wire.ts";

/** The nonces that name a session. */
export interface Session {
  /** The source's. */
  readonly source: Uint8Array;
  /** The destination's. */
  readonly destination: Uint8Array;
}

/**
 * Refuses a peer with which there is no version of the protocol in common.
 *
 * @throws {MigrationError} MIGRATION_VERSION
 */
export function checkVersions(
  wire: Wire,
  peer: { readonly lowest: number; readonly highest: number },
): void {
  if (peer.lowest <= PROTOCOL.highest && peer.highest >= PROTOCOL.lowest) {
    return;
  }
  throw new MigrationError(
    "MIGRATION_VERSION",
    `Cannot move the VM: ${wire.peer} speaks versions ${peer.lowest} to ${peer.highest} of the protocol, this side ${PROTOCOL.lowest} to ${PROTOCOL.highest}`,
    { phase: wire.phase, hint: "use the same version on both sides" },
  );
}

/**
 * Refuses a frame that names another session.
 *
 * @throws {MigrationError} MIGRATION_PROTOCOL
 */
export function checkSession(
  wire: Wire,
  session: Session,
  { payload }: Frame,
): void {
  const { source, destination } = wire.read(sessionMessage, payload);
  if (sameBytes(source, session.source)) {
    if (sameBytes(destination, session.destination)) return;
  }
  throw wire.wrong("what it says belongs to another session");
}
