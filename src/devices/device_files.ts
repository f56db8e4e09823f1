/**
 * The files of /dev that every program expects.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { S_IF } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { OpenFile, writeSpecialStat } from "./open_file.ts";

/** Minor numbers of the memory devices, major 1 (Documentation/admin-guide). */
const MINOR: Record<string, number> = {
  "/dev/null": 3,
  "/dev/zero": 5,
  "/dev/full": 7,
  "/dev/random": 8,
  "/dev/urandom": 9,
};

/** Whether `path` names a file that {@linkcode DeviceFile} answers for. */
export function isDeviceFile(path: string): boolean {
  return Object.hasOwn(MINOR, path);
}

/** An open /dev/null, zero, full, random or urandom. */
export class DeviceFile extends OpenFile {
  readonly type = "device";
  /** Its path. */
  readonly path: string;

  /**
   * @param path one for which {@linkcode isDeviceFile} holds; for a look at it
   * alone, also a plugin's
   */
  constructor(path: string, flags: number) {
    super(flags);
    this.path = path;
  }

  override read(io: IoVector): number {
    if (this.path === "/dev/null") return 0;
    io.forEach((piece) => {
      if (this.path.endsWith("random")) fillRandom(piece);
      else piece.fill(0);
    });
    return io.lengthBytes;
  }

  override write(io: IoVector): number {
    if (this.path === "/dev/full" && io.wantedBytes > 0) return -ERRNO.ENOSPC;
    return this.path.endsWith("random") ? io.lengthBytes : io.wantedBytes;
  }

  override readFault(): number {
    return this.path === "/dev/null" ? 0 : super.readFault();
  }

  override writeFault(lengthBytes: number): number {
    if (this.path === "/dev/full") return -ERRNO.ENOSPC;
    // What takes bytes without looking at them takes these too.
    return this.path.endsWith("random") ? super.writeFault(0) : lengthBytes;
  }

  override pread(io: IoVector, _offset: number): number {
    return this.read(io);
  }

  override pwrite(io: IoVector, _offset: number): number {
    return this.write(io);
  }

  override get isWatchable(): boolean {
    return this.path.endsWith("random");
  }

  override seek(): number {
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    const minor = MINOR[this.path];
    if (minor === undefined) return pluginStat(stat);
    return writeSpecialStat(
      stat,
      S_IF.character | 0o666,
      minor,
      (1 << 8) | minor,
    );
  }
}

/** Fills a `struct stat` of 144 bytes for a file of a plugin. */
export function pluginStat(stat: Uint8Array<ArrayBuffer>): number {
  // Major 10: devices of all sorts (Documentation/admin-guide/devices.txt).
  return writeSpecialStat(stat, S_IF.character | 0o666, 0xa00, 10 << 8 | 255);
}

/** Fills `bytes` with random ones, 64 KiB at a time (crypto's limit). */
export function fillRandom(bytes: Uint8Array): void {
  const chunk = new Uint8Array(Math.min(bytes.length, 65536));
  for (let at = 0; at < bytes.length; at += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, bytes.length - at));
    crypto.getRandomValues(part);
    bytes.set(part, at);
  }
}
