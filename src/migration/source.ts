/**
 * The side that a VM leaves.
 *
 * @module
 */

import {
  CREATOR,
  type FrozenVm,
  type StreamSaveOptions,
  type Vm,
} from "../linux/mod.ts";
import {
  AtomicFile,
  type EndOptions,
  type ImageSummary,
  openConnection,
  sameBytes,
  within,
} from "../state/mod.ts";
import { MigrationError, type Phase } from "./errors.ts";
import { FRAME } from "./frames.ts";
import {
  answerMessage,
  helloMessage,
  NONCE_BYTES,
  PROTOCOL,
} from "./messages.ts";
import { paced } from "./pace.ts";
import { checkSession, checkVersions, type Session } from "./session.ts";
import { Wire } from "./wire.ts";

/** How far a move has come. */
export interface MigrationProgress {
  /** What is under way. */
  readonly phase: Phase;
  /** How many bytes of the image were sent. */
  readonly sentBytes: number;
}

/** How to move a VM. */
export interface MigrateOptions extends StreamSaveOptions, EndOptions {
  /**
   * Where the image is written when nobody can tell whether the destination
   * runs the VM. A file that is there stays: it may be the image of another,
   * kept likewise. This one is `vm-2.img` then, and so on. Default: `vm.img`.
   */
  readonly keep?: string;
  /** No more bytes of the image than these in a second; default: no bound. */
  readonly bytesPerSecond?: number;
  /** Told when a phase begins, and as the image goes over. */
  readonly onProgress?: (progress: MigrationProgress) => void;
}

/** How long a peer's reason is waited for once a write failed, ms. */
const REASON_MS = 1000;

/**
 * Moves a VM to whoever receives at `to`. It is held still from the start; when
 * this resolves it goes on there, and has ended here.
 *
 * Whatever fails before the VM changes hands leaves it as it was: one that ran
 * goes on here. When the connection is lost just as it changes hands, its image
 * is written to `keep` and the VM ends: only a user can find out whether the
 * destination runs it.
 *
 * @param to a URL of `tcp:`, `tls:` or `unix:`
 * @throws {MigrationError} with its phase, and every reason of a refusal;
 * {TransportError} when nobody is there; {ImageError} when it cannot be saved;
 * {VmError} when it has ended; the signal's reason
 *
 * @example Move a VM; the other side may be on another machine
 * ```ts ignore
 * import { listenForVms, migrate, Vm } from "@scratchvm/scratchvm";
 *
 * await using receiver = await listenForVms("tcp://127.0.0.1:0");
 * const receiving = receiver.receive();
 *
 * await using vm = await Vm.create({ program: "guest/build/hello" });
 * await migrate(vm, receiver.name);
 * console.log(vm.end); // { kind: "saved" }
 *
 * await using there = await receiving;
 * console.log(await there?.run()); // { kind: "exited", code: 0 }
 * ```
 */
export async function migrate(
  vm: Vm,
  to: string | URL,
  options: MigrateOptions = {},
): Promise<ImageSummary> {
  return await vm.freeze(async (frozen) => {
    const either = orEnded(frozen, options);
    await using wire = new Wire(await openConnection(to, either));
    try {
      return await move(frozen, wire, either);
    } catch (error) {
      const isTheirs = error instanceof MigrationError &&
        error.code !== "MIGRATION_PROTOCOL";
      if (!isTheirs) await wire.fail(error);
      throw error;
    }
  }, options);
}

/**
 * Asks whoever receives at `to` whether the VM could go on there. Nothing moves.
 *
 * @returns every reason why not; none when it could
 * @throws as {@linkcode migrate} does, but for a refusal
 */
export async function askMigration(
  vm: Vm,
  to: string | URL,
  options: MigrateOptions = {},
): Promise<readonly string[]> {
  return await vm.freeze(async (frozen) => {
    const either = orEnded(frozen, options);
    await using wire = new Wire(await openConnection(to, either));
    const session = await greet(wire);
    return await ask(frozen, wire, session, options, true);
  }, options);
}

/** The same options, given up as well when the VM is ended meanwhile. */
function orEnded(frozen: FrozenVm, options: MigrateOptions): MigrateOptions {
  const { signal } = options;
  return {
    ...options,
    signal: signal ? AbortSignal.any([signal, frozen.signal]) : frozen.signal,
  };
}

async function move(
  frozen: FrozenVm,
  wire: Wire,
  options: MigrateOptions,
): Promise<ImageSummary> {
  const { onProgress, signal } = options;
  let sentBytes = 0;
  const enter = (phase: Phase) => {
    wire.phase = phase;
    onProgress?.({ phase, sentBytes });
  };
  enter("hello");
  const session = await greet(wire);
  enter("preflight");
  const reasons = await ask(frozen, wire, session, options, false);
  if (reasons.length > 0) throw refused(wire, reasons);
  enter("transfer");
  const sink = paced(
    {
      async write(chunk) {
        await wire.sendData(chunk);
        sentBytes += chunk.length;
        onProgress?.({ phase: "transfer", sentBytes });
      },
    },
    options.bytesPerSecond,
    signal,
  );
  const sending = async () => {
    const written = await frozen.write(sink, options);
    await sink.end();
    return written;
  };
  const summary = await orReason(wire, wire.working(sending()));
  const { totalBytes, digest } = summary;
  await orReason(wire, wire.send(FRAME.end, { totalBytes, digest }));
  enter("prepare");
  checkSession(wire, session, await wire.receive(FRAME.prepared));
  // The last chance: from here on it is not ours to take back.
  signal?.throwIfAborted();
  enter("commit");
  await commit(frozen, wire, session, options);
  return summary;
}

/** Says hello, and finds the version of the protocol that both speak. */
async function greet(wire: Wire): Promise<Session> {
  const source = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  await wire.send(FRAME.hello, {
    ...PROTOCOL,
    creator: CREATOR,
    nonce: source,
  });
  const { payload } = await wire.receive(FRAME.hello);
  const peer = wire.read(helloMessage, payload);
  checkVersions(wire, peer);
  return { source, destination: peer.nonce };
}

/** Says what the VM needs; every reason why the destination has it not. */
async function ask(
  frozen: FrozenVm,
  wire: Wire,
  { source, destination }: Session,
  options: MigrateOptions,
  isQuestion: boolean,
): Promise<readonly string[]> {
  wire.phase = "preflight";
  const offer = await wire.working(frozen.offer(options));
  await wire.send(FRAME.offer, { ...offer, nonce: destination, isQuestion });
  const { payload } = await wire.receive(FRAME.answer);
  const answer = wire.read(answerMessage, payload);
  if (!sameBytes(answer.nonce, source)) {
    throw wire.wrong("its answer belongs to another session");
  }
  return answer.reasons;
}

function refused(wire: Wire, reasons: readonly string[]): MigrationError {
  return new MigrationError(
    "MIGRATION_REFUSED",
    `Cannot move the VM: ${wire.peer} cannot take it: ${reasons.join("; ")}`,
    { phase: wire.phase, reasons },
  );
}

/**
 * A step that only sends; when the connection breaks meanwhile, the peer may
 * have said why before.
 */
async function orReason<T>(wire: Wire, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    const isLost = error instanceof MigrationError &&
      error.code === "MIGRATION_DROPPED";
    if (!isLost) throw error;
    let why: unknown = error;
    await within(
      REASON_MS,
      wire.receive().catch((reason) => {
        const isReason = reason instanceof MigrationError &&
          reason.code === "MIGRATION_FAILED";
        if (isReason) why = reason;
      }),
    );
    throw why;
  }
}

/** Gives the VM away. */
async function commit(
  frozen: FrozenVm,
  wire: Wire,
  session: Session,
  options: MigrateOptions,
): Promise<void> {
  // The destination may be on this host, or share files with it.
  frozen.lendLocks();
  try {
    await wire.send(FRAME.commit, session);
    checkSession(wire, session, await wire.receive(FRAME.done));
  } catch (cause) {
    // It said that it did not take it.
    if (cause instanceof MigrationError && cause.code === "MIGRATION_FAILED") {
      throw orUnlocked(frozen, cause);
    }
    throw await keep(frozen, wire, options, cause);
  }
  frozen.stop();
}

/** What a move failed with; the VM is paused unless it has its locks again. */
function orUnlocked(frozen: FrozenVm, failed: MigrationError): MigrationError {
  try {
    frozen.takeLocksBack();
    return failed;
  } catch (error) {
    frozen.pause();
    const why = error instanceof Error ? error.message : `${error}`;
    return new MigrationError(
      "MIGRATION_FAILED",
      `${failed.message}; it is paused here: ${why}`,
      {
        phase: failed.phase,
        hint: "end what has locked the file, and run it again",
        cause: failed,
      },
    );
  }
}

/** Writes the image here and ends the VM: it may run at the destination. */
async function keep(
  frozen: FrozenVm,
  wire: Wire,
  options: MigrateOptions,
  cause: unknown,
): Promise<MigrationError> {
  const path = options.keep ?? "vm.img";
  const uncertain = (what: string, hint: string) =>
    new MigrationError(
      "MIGRATION_UNCERTAIN",
      `Cannot tell whether ${wire.peer} runs the VM: the connection was lost as it changed hands: ${what}`,
      { phase: "commit", hint, cause },
    );
  let kept: string;
  try {
    using file = new AtomicFile(path, { replaces: false });
    const { signal: _, ...how } = options;
    await frozen.write(file, how);
    await file.commit();
    kept = file.path;
  } catch (error) {
    if (frozen.signal.aborted) {
      return uncertain(
        "it was ended here meanwhile, and not saved",
        "if the destination does not run it, it is lost",
      );
    }
    const why = error instanceof Error ? error.message : `${error}`;
    frozen.pause();
    return uncertain(
      `it was paused here, and could not be saved: ${why}`,
      "make room and save it (SIGUSR2 to vm run); or run it here again, if the destination does not run it",
    );
  }
  frozen.stop();
  return uncertain(
    `it was saved to ${kept} and stopped here`,
    `if the destination does not run it, go on with: vm restore ${kept}`,
  );
}
