/**
 * What a device answers for a file of its own that a program has open.
 *
 * @module
 */

/** At once, or later: the program's call then waits, and may be saved. */
export type Answer<T> = T | Promise<T>;

/** What is known of a call that a handler answers. */
export interface DeviceCall {
  /** Where to read or write, for a handle with a `size`; else `undefined`. */
  readonly offset: number | undefined;
  /** Whether the program wants EAGAIN rather than wait (O_NONBLOCK). */
  readonly nonBlock: boolean;
  /**
   * Whether the call was under way when the VM was saved, and is now made
   * again: the state that the device dumped says what had become of it.
   */
  readonly isAgain: boolean;
  /** Aborts when the answer is not needed any more: close, or the VM's end. */
  readonly signal: AbortSignal;
}

/** What is known of an ioctl. */
export interface IoctlCall extends DeviceCall {
  /** The third argument as it is, for requests that take a number. */
  readonly argument: bigint;
}

/**
 * An open file of a device. What is absent is answered as Linux does for a
 * device that cannot: EINVAL, ENOTTY, ESPIPE, ENODEV.
 *
 * A result is that of the system call: zero or more, or a negative errno
 * (`-ERRNO.EIO`). Throwing {@linkcode DeviceErrno} gives that errno; anything
 * else that is thrown gives EIO, and a warning to the user; so does a promise
 * of a handler that answers at once (`poll`, `size`, `mmap`). The answer
 * `-ERRNO.EAGAIN` has the call wait for `wake()`, and then made again.
 */
export interface DeviceHandle {
  /** Gives at most `lengthBytes` bytes; none at the end of the file. */
  read?(
    lengthBytes: number,
    call: DeviceCall,
  ): Answer<Uint8Array | number>;
  /** Takes bytes, which are its own to keep; nothing returned: all of them. */
  write?(bytes: Uint8Array, call: DeviceCall): Answer<number | void>;
  /**
   * Answers a request of <asm-generic/ioctl.h>: `data` has the size that the
   * number holds, and is the program's where the request writes (_IOW, _IOWR).
   * What the handler puts there is given back where it reads (_IOR, _IOWR).
   * Unknown requests must be answered with `-ERRNO.ENOTTY`.
   */
  ioctl?(
    request: number,
    data: Uint8Array,
    call: IoctlCall,
  ): Answer<number | void>;
  /**
   * For requests whose number holds no size, being older than
   * <asm-generic/ioctl.h> (those of linux/fb.h): how many bytes their argument
   * points to, by number. They are given to `ioctl` and given back.
   */
  readonly ioctlBytes?: Readonly<Record<number, number>>;
  /** Which of poll's `events` (POLLIN 1, POLLOUT 4 …) hold; default: all. */
  poll?(events: number): number;
  /** How long it is, bytes. With it the file has an offset: lseek, pread. */
  size?(): number;
  /**
   * Gives the guest physical address that a MAP_SHARED mapping of so much at
   * `offset` leads to, all of it within an MMIO range of the device; both are
   * whole pages. Or a negative errno.
   */
  mmap?(offset: number, lengthBytes: number): number;
  /** What of this one open file travels; given to the opener at the restore. */
  dump?(): unknown;
  /** The last descriptor is closed, or the VM is gone. */
  close?(): void;
}

/** What an opener knows of the file. */
export interface DeviceFileContext {
  /** The path that was opened. */
  readonly path: string;
  /** O_* flags of open(2). */
  readonly flags: number;
  /** Whether it was open when the VM was saved, and is now opened again. */
  readonly isAgain: boolean;
  /** Aborts when the file is closed. */
  readonly signal: AbortSignal;
  /** As the device's `wake`, for this one open file. */
  wake(): void;
}

/**
 * Opens a device's file.
 *
 * @returns the handle, or a negative errno
 * @param saved what `dump` of the handle gave, as it was found in an image: to
 * be checked
 */
export type OpenDeviceFile = (
  file: DeviceFileContext,
  saved?: unknown,
) => DeviceHandle | number;

/**
 * An errno for the program, thrown by a handler.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { DeviceErrno } from "./mod.ts";
 *
 * const full = new DeviceErrno(28, "no block is free"); // ENOSPC
 * assertEquals(full.errno, 28);
 * ```
 */
export class DeviceErrno extends Error {
  /** The name of the class. */
  override name = "DeviceErrno";
  /** The errno, positive. */
  readonly errno: number;

  /**
   * Makes one.
   *
   * @param errno positive, such as `ERRNO.ENOSPC`
   * @param message for whoever reads the error, not for the program
   */
  constructor(errno: number, message = `errno ${errno}`) {
    super(message);
    this.errno = errno;
  }
}
