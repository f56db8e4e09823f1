/**
 * One of two connected sockets inside the VM (socketpair(2), unix(7)): what was
 * sent and not received yet is the VMM's, and travels with it.
 *
 * @module
 */

import { ERRNO } from "../kvm/mod.ts";
import { O, POLL, READABLE, S_IF, WRITABLE } from "./host_constants.ts";
import type { IoVector } from "./io_vector.ts";
import { gather, OpenFile, writeSpecialStat } from "./open_file.ts";
import { SocketSpace } from "./socket_space.ts";
import { Waiters, type Watcher } from "./waiters.ts";

/** Kinds of socket (linux/net.h). */
export const SOCKET_KIND = { stream: 1, datagram: 2, packets: 5 } as const;
/** One of {@linkcode SOCKET_KIND}'s values. */
export type SocketKind = typeof SOCKET_KIND[keyof typeof SOCKET_KIND];

/** How much a socket sends before who receives takes it (wmem_default). */
export const SOCKET_BYTES = 212_992;
/** The most that SO_SNDBUF and SO_RCVBUF set. */
export const MAX_SOCKET_BYTES = 2 * SOCKET_BYTES;

/** What a message takes besides its bytes (sk_buff). */
const OVERHEAD_BYTES = 576;
/** The least that a message takes. */
export const LEAST_BYTES = 768;

/** Most bytes of one message of a stream. */
const CHUNK_BYTES = 32_768;

/** Bits of {@linkcode SocketState.shut}. */
const SHUT = { receive: 1, send: 2, both: 3 } as const;

/** Flags of send(2) and recv(2) (linux/socket.h). */
export const MSG = {
  peek: 0x2,
  truncated: 0x20,
  dontWait: 0x40,
  endOfRecord: 0x80,
  waitAll: 0x100,
  noSignal: 0x4000,
  closeOnExec: 0x4000_0000,
  /** Only the kernel's own calls for 32-bit programs. */
  compat: 0x8000_0000,
} as const;

/** What travels of a socket besides who its peer is. */
export interface SocketState {
  /** What fstat shows. */
  readonly inode: number;
  /** Bits: 1 nothing more is received, 2 nothing is sent. */
  readonly shut: number;
  /** The error that the next call gives; 0: none. */
  readonly error: number;
  /** SO_SNDBUF. */
  readonly sendBytes: number;
  /** SO_RCVBUF. */
  readonly receiveBytes: number;
  /** What was sent to it and not received, the oldest first. */
  readonly messages: readonly Uint8Array[];
}

function chargeOf(message: Uint8Array): number {
  return Math.max(LEAST_BYTES, message.length + OVERHEAD_BYTES);
}

/** What a receive gives. */
export interface Received {
  /** Bytes moved, or the message's own length with MSG_TRUNC; or -errno. */
  readonly result: number;
  /** Whether a message was longer than the room for it. */
  readonly isTruncated: boolean;
}

/** A socket whose other end is in the same VM. */
export class SocketEnd extends OpenFile {
  readonly type = "socket";
  readonly kind: SocketKind;
  /** What fstat shows. */
  readonly inode: number;
  /** SO_SNDBUF. */
  sendBytes: number;
  /** SO_RCVBUF: as it was set; what is sent is bound by the sender's. */
  receiveBytes: number;
  #peer: SocketEnd | undefined;
  #isClosed = false;
  #shut: number;
  #error: number;
  readonly #messages: Uint8Array[];
  #charged = 0;
  readonly #space: SocketSpace;
  readonly #waiters = new Waiters();
  readonly #onRoom = () => this.#tell();

  /**
   * @param flags O_NONBLOCK or 0 @param state as it was saved; its messages are
   * the socket's from now on @param space what the program's sockets share
   */
  constructor(
    kind: SocketKind,
    flags: number,
    state: SocketState,
    space: SocketSpace = new SocketSpace(),
  ) {
    super(O.readWrite | flags);
    this.kind = kind;
    this.inode = state.inode;
    this.sendBytes = state.sendBytes;
    this.receiveBytes = state.receiveBytes;
    this.#shut = state.shut;
    this.#error = state.error;
    this.#messages = [...state.messages];
    this.#space = space;
    space.join(this.#onRoom);
    this.#charge(this.#messages.reduce((n, m) => n + chargeOf(m), 0));
  }

  /** Two sockets that are connected. @param space what all sockets share */
  static pair(
    kind: SocketKind,
    flags: number,
    inode: number,
    space: SocketSpace = new SocketSpace(),
  ): [SocketEnd, SocketEnd] {
    const state = {
      shut: 0,
      error: 0,
      sendBytes: SOCKET_BYTES,
      receiveBytes: SOCKET_BYTES,
      messages: [],
    };
    const ends: [SocketEnd, SocketEnd] = [
      new SocketEnd(kind, flags, { ...state, inode }, space),
      new SocketEnd(kind, flags, { ...state, inode: inode + 1 }, space),
    ];
    ends[0].connect(ends[1]);
    return ends;
  }

  /** Makes two sockets each other's peer. */
  connect(peer: SocketEnd): void {
    this.#peer = peer;
    peer.#peer = this;
  }

  /** The other end; undefined when it was closed. */
  get peer(): SocketEnd | undefined {
    const peer = this.#peer;
    return peer && !peer.#isClosed ? peer : undefined;
  }

  /** Whether it has, or had, another end that nothing told it is gone. */
  get hasPeer(): boolean {
    return this.#peer !== undefined;
  }

  /** Makes it one whose other end was closed, without having told it. */
  connectClosed(): void {
    const { kind, inode, sendBytes, receiveBytes } = this;
    const gone = { shut: 0, error: 0, inode, sendBytes, receiveBytes };
    this.#peer = new SocketEnd(kind, 0, { ...gone, messages: [] });
    this.#peer.#isClosed = true;
  }

  /** What travels, but the peer. */
  state(): SocketState {
    return {
      inode: this.inode,
      shut: this.#shut,
      error: this.#error,
      sendBytes: this.sendBytes,
      receiveBytes: this.receiveBytes,
      messages: this.#messages,
    };
  }

  /** Whether bytes, and not messages, are sent. */
  get isStream(): boolean {
    return this.kind === SOCKET_KIND.stream;
  }

  /** Bytes that wait: of messages, those of the first. */
  get waitingBytes(): number {
    if (!this.isStream) return this.#messages[0]?.length ?? 0;
    return this.#messages.reduce((n, m) => n + m.length, 0);
  }

  /** The error that waits, as a positive errno; it is given once. */
  takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  // --- sending ---

  override write(io: IoVector): number {
    if (this.isStream && io.wantedBytes === 0) return 0;
    return this.send(io);
  }

  override writeFault(lengthBytes: number): number {
    if (lengthBytes === 0 && this.isStream) return 0;
    const refused = this.#sendError();
    return refused < 0 ? refused : super.writeFault(lengthBytes);
  }

  #sendError(): number {
    if (this.#error) return -this.takeError();
    if (this.#shut & SHUT.send) return -ERRNO.EPIPE;
    const { peer } = this;
    if (!peer) {
      if (this.kind !== SOCKET_KIND.datagram) return -ERRNO.EPIPE;
      const wasConnected = this.#peer !== undefined;
      this.#peer = undefined;
      return wasConnected ? -ERRNO.ECONNREFUSED : -ERRNO.ENOTCONN;
    }
    return peer.#shut & SHUT.receive ? -ERRNO.EPIPE : 0;
  }

  /** Sends: how many bytes, or a negative errno. */
  send(io: IoVector): number {
    const refused = this.#sendError();
    if (refused < 0) return refused;
    const peer = this.peer!;
    if (!this.isStream) {
      if (io.wantedBytes > this.sendBytes - 32) return -ERRNO.EMSGSIZE;
      if (!this.#hasRoom(peer)) return -ERRNO.EAGAIN;
      if (io.isCut) return -ERRNO.EFAULT;
      peer.#take(gather(io, io.lengthBytes));
      return io.lengthBytes;
    }
    const bytes = gather(io, MAX_SOCKET_BYTES);
    const chunkBytes = Math.min(CHUNK_BYTES, (this.sendBytes >> 1) - 64);
    let done = 0;
    while (done < bytes.length && this.#hasRoom(peer)) {
      const chunk = bytes.slice(done, done + chunkBytes);
      peer.#take(chunk);
      done += chunk.length;
    }
    return done > 0 || bytes.length === 0 ? done : -ERRNO.EAGAIN;
  }

  #hasRoom(peer: SocketEnd): boolean {
    return peer.#charged < this.sendBytes && !this.#space.isFull;
  }

  #take(message: Uint8Array): void {
    this.#messages.push(message);
    this.#charge(chargeOf(message));
    this.#waiters.wake(READABLE);
  }

  // --- receiving ---

  override read(io: IoVector): number {
    // As the kernel has it, of messages too.
    if (io.wantedBytes === 0) return 0;
    return this.receive(io, 0).result;
  }

  override readFault(): number {
    const nothing = this.#nothing();
    if (nothing !== undefined) return nothing;
    // A message that cannot be handed over is lost, bytes are not.
    if (!this.isStream) {
      this.#drop();
      this.#tellSender();
    }
    return super.readFault();
  }

  /** What a receive gives where there is nothing; undefined: there is. */
  #nothing(): number | undefined {
    if (!this.isStream && this.#error) return -this.takeError();
    if (this.#messages.length > 0) return undefined;
    if (this.#error) return -this.takeError();
    if ((this.#shut & SHUT.receive) === 0) return -ERRNO.EAGAIN;
    const isSilent = this.kind === SOCKET_KIND.datagram &&
      (this.flags & O.nonBlock) !== 0;
    return isSilent ? -ERRNO.EAGAIN : 0;
  }

  /** Receives into `io`. @param flags of {@linkcode MSG} */
  receive(io: IoVector, flags: number): Received {
    const nothing = this.#nothing();
    if (nothing !== undefined) return { result: nothing, isTruncated: false };
    return this.isStream
      ? { result: this.#receiveStream(io, flags), isTruncated: false }
      : this.#receiveMessage(io, flags);
  }

  #receiveStream(io: IoVector, flags: number): number {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (const message of this.#messages) {
      if (length >= io.lengthBytes) break;
      parts.push(message);
      length += message.length;
    }
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const done = io.fill(bytes);
    if (flags & MSG.peek) return done;
    for (let left = done; left > 0;) {
      const head = this.#messages[0];
      if (head.length > left) {
        const rest = head.subarray(left);
        this.#messages[0] = rest;
        this.#charge(chargeOf(rest) - chargeOf(head));
        left = 0;
      } else {
        left -= head.length;
        this.#drop();
      }
    }
    this.#tellSender();
    return done;
  }

  #receiveMessage(io: IoVector, flags: number): Received {
    const message = this.#messages[0];
    const done = io.fill(message);
    if (io.isCut && done < message.length) {
      this.#drop();
      this.#tellSender();
      return { result: -ERRNO.EFAULT, isTruncated: false };
    }
    if ((flags & MSG.peek) === 0) {
      this.#drop();
      this.#tellSender();
    }
    return {
      result: flags & MSG.truncated ? message.length : done,
      isTruncated: done < message.length,
    };
  }

  #drop(): void {
    this.#charge(-chargeOf(this.#messages.shift()!));
  }

  #charge(bytes: number): void {
    this.#charged += bytes;
    this.#space.charge(bytes);
  }

  #tellSender(): void {
    const { peer } = this;
    if (peer) peer.#tell();
  }

  /** Tells those who would send that there is more room. */
  #tell(): void {
    if (this.isRoomy) this.#waiters.wake(WRITABLE);
    else this.#waiters.wakeWaiting();
  }

  /** Whether poll says that it can send: at most a quarter waits. */
  get isRoomy(): boolean {
    const { peer } = this;
    return !peer ||
      peer.#charged * 4 <= this.sendBytes && !this.#space.isFull;
  }

  // --- the rest ---

  /** shutdown(2): `how` is 0, 1 or 2. */
  shutdown(how: number): number {
    if (!(how >= 0 && how <= 2)) return -ERRNO.EINVAL;
    this.#shut |= how + 1;
    this.#waiters.wake();
    const { peer } = this;
    if (peer && this.kind !== SOCKET_KIND.datagram) {
      // What this one does not receive the other cannot send.
      if (this.#shut & SHUT.receive) peer.#shut |= SHUT.send;
      if (this.#shut & SHUT.send) peer.#shut |= SHUT.receive;
      peer.#waiters.wake();
    }
    return 0;
  }

  override stat(stat: Uint8Array<ArrayBuffer>): number {
    return writeSpecialStat(stat, S_IF.socket | 0o777, this.inode);
  }

  override poll(events: number): number {
    let holds = this.isRoomy ? WRITABLE : 0;
    if (this.#messages.length > 0) holds |= READABLE;
    if (this.#shut & SHUT.receive) holds |= READABLE | POLL.readHup;
    const always = (this.#error ? POLL.err : 0) |
      (this.#shut === SHUT.both ? POLL.hup : 0);
    return (events & holds) | always;
  }

  override wait(_events: number, signal: AbortSignal): Promise<void> {
    return this.#waiters.changed(signal);
  }

  override get isWatchable(): boolean {
    return true;
  }

  override watch(watcher: Watcher): () => void {
    return this.#waiters.watch(watcher);
  }

  override close(): void {
    this.#isClosed = true;
    const { peer } = this;
    if (peer && this.kind !== SOCKET_KIND.datagram) {
      peer.#shut = SHUT.both;
      // What it has sent nobody will receive.
      if (this.#messages.length > 0) peer.#error = ERRNO.ECONNRESET;
    }
    this.#space.leave(this.#onRoom);
    this.#messages.length = 0;
    this.#charge(-this.#charged);
    if (peer) peer.#waiters.wake();
  }
}
