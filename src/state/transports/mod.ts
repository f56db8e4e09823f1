/**
 * The ends of a pipeline: where the bytes of an image go, and where they come
 * from. They know nothing of what is in them.
 *
 * @module
 */

export { type End, parseEnd } from "./end_url.ts";
export { TransportError, type TransportErrorCode } from "./errors.ts";
export type {
  EndOptions,
  ImageOrigin,
  ImageTarget,
  TlsOptions,
} from "./image_end.ts";
export { Guard } from "./guard.ts";
export type { Link } from "./link.ts";
export {
  type Acceptor,
  listenConnections,
  type ListenOptions,
  listenOrigin,
  OriginListener,
} from "./listen.ts";
export {
  type Connection,
  isConnected,
  openConnection,
  openOrigin,
  openTarget,
} from "./open.ts";
export { REFUSAL } from "./link_target.ts";
export { within } from "./node_link.ts";
export { streamTarget, targetStream } from "./streams.ts";
