/**
 * What can be set and asked of sockets (socket(7)).
 *
 * @module
 */

import { MAX_SOCKET_BYTES, type SocketEnd } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";

/** The family of pairs: AF_UNIX (linux/socket.h). */
export const AF_UNIX = 1;

/** The level of options that every socket has (asm-generic/socket.h). */
export const SOL_SOCKET = 1;

/** Those options. */
const SO = {
  debug: 1,
  reuseAddress: 2,
  type: 3,
  error: 4,
  dontRoute: 5,
  broadcast: 6,
  sendBuffer: 7,
  receiveBuffer: 8,
  keepAlive: 9,
  priority: 12,
  linger: 13,
  passCredentials: 16,
  peerCredentials: 17,
  receiveLow: 18,
  sendLow: 19,
  acceptConnections: 30,
  protocol: 38,
  domain: 39,
} as const;

/** The least of SO_SNDBUF and SO_RCVBUF (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF). */
const LEAST_SEND_BYTES = 4608;
const LEAST_RECEIVE_BYTES = 2304;

/** What an option holds, in its bytes; or a negative errno. */
export function option(
  linux: Linux,
  socket: SocketEnd,
  name: number,
): Int32Array<ArrayBuffer> | number {
  switch (name) {
    case SO.type:
      return Int32Array.of(socket.kind);
    case SO.error:
      return Int32Array.of(socket.takeError());
    case SO.sendBuffer:
      return Int32Array.of(socket.sendBytes);
    case SO.receiveBuffer:
      return Int32Array.of(socket.receiveBytes);
    case SO.domain:
      return Int32Array.of(AF_UNIX);
    case SO.receiveLow:
    case SO.sendLow:
      return Int32Array.of(1);
    case SO.peerCredentials: {
      const { uid, gid } = linux.ids;
      return Int32Array.of(linux.process.state.pid, uid, gid);
    }
    case SO.linger:
      return Int32Array.of(0, 0);
    case SO.debug:
    case SO.reuseAddress:
    case SO.dontRoute:
    case SO.broadcast:
    case SO.keepAlive:
    case SO.priority:
    case SO.passCredentials:
    case SO.acceptConnections:
    case SO.protocol:
      return Int32Array.of(0);
    default:
      return -ERRNO.ENOPROTOOPT;
  }
}

/** Sets an option. */
export function setOption(
  socket: SocketEnd,
  name: number,
  value: number,
): number {
  // The kernel doubles what is asked, for what it adds itself (socket(7)).
  const doubled = Math.min(value >>> 0, MAX_SOCKET_BYTES / 2) * 2;
  switch (name) {
    case SO.sendBuffer:
      socket.sendBytes = Math.max(doubled, LEAST_SEND_BYTES);
      return 0;
    case SO.receiveBuffer:
      socket.receiveBytes = Math.max(doubled, LEAST_RECEIVE_BYTES);
      return 0;
    case SO.reuseAddress:
    case SO.broadcast:
    case SO.keepAlive:
    case SO.dontRoute:
      return 0;
    default:
      return -ERRNO.ENOPROTOOPT;
  }
}
