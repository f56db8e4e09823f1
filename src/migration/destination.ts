/**
 * The side that a VM arrives at.
 *
 * @module
 */

import {
  CREATOR,
  reasonsAgainst,
  type RestoreOptions,
  Vm,
} from "../linux/mod.ts";
import {
  type Acceptor,
  type Connection,
  Guard,
  type Link,
  listenConnections,
  type ListenOptions,
  printable,
  sameBytes,
  TransportError,
} from "../state/mod.ts";
import { MigrationError, type Phase } from "./errors.ts";
import { FRAME } from "./frames.ts";
import {
  helloMessage,
  MAX_REASONS,
  MAX_TEXT_LENGTH,
  NONCE_BYTES,
  offerMessage,
  PROTOCOL,
} from "./messages.ts";
import { checkSession, checkVersions } from "./session.ts";
import { Wire } from "./wire.ts";
import { WireSource } from "./wire_source.ts";

/** How to receive a VM. */
export interface ReceiveOptions extends RestoreOptions, ListenOptions {
  /** Told when a phase of a move begins. */
  readonly onPhase?: (phase: Phase) => void;
}

/** Takes the VMs that are sent here, one after the other. */
export class Receiver implements AsyncDisposable {
  /** Where it listens: a URL, with the port that it got when asked for 0. */
  readonly name: string;
  readonly #acceptor: Acceptor;

  /** Use {@linkcode listenForVms}. */
  constructor(acceptor: Acceptor) {
    this.#acceptor = acceptor;
    this.name = acceptor.name;
  }

  /**
   * Waits for a peer, and takes the VM that it sends: paused, and its caller's.
   * Whatever fails leaves nothing behind here, and the next can be received.
   *
   * A signal that is aborted while nobody has come yet closes the receiver: it
   * takes no other then. Once a peer is there it gives up that move alone; one
   * that has changed hands is given even so.
   *
   * @returns the VM; `undefined` when the peer only asked whether it could be
   * taken, or was told why it cannot, or when the receiver was closed
   * @throws {MigrationError} with its phase; {ImageError}, {FilesError},
   * {VmError}, {KvmError} when it cannot be restored; {TransportError} when
   * nobody can connect; the signal's reason
   */
  async receive(options: ReceiveOptions = {}): Promise<Vm | undefined> {
    const { signal } = options;
    using guard = new Guard(`the peer of ${this.name}`, options);
    const onAbort = () => void this.close();
    signal?.addEventListener("abort", onAbort);
    let link: Link | undefined;
    try {
      link = await this.#acceptor.accept();
    } catch (cause) {
      throw this.#cannotListen(cause);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    if (signal?.aborted) await link?.close();
    signal?.throwIfAborted();
    if (!link) return undefined;
    return await receiveFrom({ link, guard }, options);
  }

  #cannotListen(cause: unknown): TransportError {
    const why = cause instanceof Error ? cause.message : `${cause}`;
    return new TransportError(
      "END_IO",
      `Cannot listen on ${this.name}: ${why}`,
      { end: this.name, cause },
    );
  }

  /** Stops listening. */
  async close(): Promise<void> {
    await this.#acceptor.close();
  }

  /** Stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Listens for VMs that are sent with {@linkcode migrate}.
 *
 * @param where `tcp://HOST:PORT`, `tls://HOST:PORT` or `unix:PATH`; port 0 takes
 * one that is free
 * @throws {TransportError} when it cannot be listened on
 *
 * @example Take one VM, or none that comes within a second
 * ```ts ignore
 * import { listenForVms } from "@scratchvm/scratchvm";
 *
 * await using receiver = await listenForVms("tcp://127.0.0.1:0");
 * console.log(`waiting on ${receiver.name}`);
 * setTimeout(() => receiver.close(), 1000);
 * await using vm = await receiver.receive();
 * console.log(await vm?.run());
 * ```
 */
export async function listenForVms(
  where: string | URL,
  options: ListenOptions = {},
): Promise<Receiver> {
  return new Receiver(await listenConnections(where, options));
}

/** Takes a VM over a connection, which is closed then. */
async function receiveFrom(
  connection: Connection,
  options: ReceiveOptions,
): Promise<Vm | undefined> {
  await using wire = new Wire(connection);
  try {
    return await take(wire, options);
  } catch (error) {
    const isTheirs = error instanceof MigrationError &&
      error.code !== "MIGRATION_PROTOCOL" && error.code !== "MIGRATION_VERSION";
    if (!isTheirs) await wire.fail(error);
    throw error;
  }
}

async function take(
  wire: Wire,
  options: ReceiveOptions,
): Promise<Vm | undefined> {
  const enter = (phase: Phase) => {
    wire.phase = phase;
    options.onPhase?.(phase);
  };
  enter("hello");
  const destination = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const hello = wire.read(
    helloMessage,
    (await wire.receive(FRAME.hello)).payload,
  );
  await wire.send(FRAME.hello, {
    ...PROTOCOL,
    creator: CREATOR,
    nonce: destination,
  });
  checkVersions(wire, hello);
  const session = { source: hello.nonce, destination };
  enter("preflight");
  const offer = wire.read(
    offerMessage,
    (await wire.receive(FRAME.offer)).payload,
  );
  if (!sameBytes(offer.nonce, destination)) {
    throw wire.wrong("its offer belongs to another session");
  }
  const reasons = await wire.working(reasonsAgainst(offer, options));
  const answer = {
    nonce: session.source,
    reasons: reasons.slice(0, MAX_REASONS)
      .map((reason) => reason.slice(0, MAX_TEXT_LENGTH)),
  };
  if (reasons.length > 0 || offer.isQuestion) {
    await wire.sendLast(FRAME.answer, answer);
    return undefined;
  }
  await wire.send(FRAME.answer, answer);
  enter("transfer");
  const { signal } = options;
  const image = new WireSource(wire);
  using prepared = await wire.working(
    Vm.prepare(image, { ...options, signal }),
    image.ended,
  );
  if (prepared.digest !== image.digest) {
    throw wire.wrong(
      `it sent an image with digest ${prepared.digest}, and says that it is ${
        printable(image.digest)
      }`,
    );
  }
  enter("prepare");
  await wire.send(FRAME.prepared, session);
  enter("commit");
  checkSession(wire, session, await wire.receive(FRAME.commit));
  const vm = prepared.finish();
  // It is ours, whether the source hears of it or not.
  await wire.sendLast(FRAME.done, session);
  return vm;
}
