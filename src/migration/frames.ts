/**
 * Frames: what goes over the connection of a move, in either direction.
 *
 * @module
 */

/** The kinds of frame. */
export const FRAME = {
  /** Who speaks, and which versions of this protocol: first on both sides. */
  hello: 1,
  /** Source: what the VM needs. */
  offer: 2,
  /** Destination: whether it can take it. */
  answer: 3,
  /** Source: bytes of the image. */
  data: 4,
  /** Source: the image is complete. */
  end: 5,
  /** Destination: the VM is ready to go on. */
  prepared: 6,
  /** Source: it is yours. */
  commit: 7,
  /** Destination: it is mine. */
  done: 8,
  /** Either: it failed, and why. */
  failed: 9,
  /** Either: still at work. */
  alive: 10,
} as const;

/** One of {@linkcode FRAME}'s numbers. */
export type FrameType = typeof FRAME[keyof typeof FRAME];

const NAMES = new Map<number, string>(
  Object.entries(FRAME).map(([name, type]) => [type, name]),
);

/** The name of a kind of frame, for messages. */
export function frameName(type: number): string {
  return NAMES.get(type) ?? `frame ${type}`;
}

/** The layout of a frame's header, little endian; the payload follows. */
export const FRAME_HEADER = {
  /** "SVMM" (u32). */
  magic: 0,
  /** The kind (u8); three zero bytes follow. */
  type: 4,
  /** Counts the frames of one direction, from 0 (u32). */
  sequence: 8,
  /** How many bytes of payload (u32). */
  length: 12,
  /** How long it is. */
  sizeBytes: 16,
} as const;

const MAGIC = 0x4d4d5653;

/** Most bytes of an image in one frame. */
export const MAX_DATA_BYTES = 1024 * 1024;

const KIB = 1024;

/** Most bytes of the payload of each kind: so much is allocated unseen. */
export const MAX_PAYLOAD_BYTES: Readonly<Record<FrameType, number>> = {
  [FRAME.hello]: 4 * KIB,
  // A table of descriptors is the largest.
  [FRAME.offer]: 16 * KIB * KIB,
  [FRAME.answer]: 2 * KIB * KIB,
  [FRAME.data]: MAX_DATA_BYTES,
  [FRAME.end]: 4 * KIB,
  [FRAME.prepared]: 4 * KIB,
  [FRAME.commit]: 4 * KIB,
  [FRAME.done]: 4 * KIB,
  [FRAME.failed]: 64 * KIB,
  [FRAME.alive]: 4 * KIB,
};

/** What the header of a frame says. */
export interface FrameHeader {
  /** The kind. */
  readonly type: FrameType;
  /** How many bytes of payload follow. */
  readonly lengthBytes: number;
}

/** Writes a header into `target`. */
export function encodeFrameHeader(
  target: DataView,
  { type, lengthBytes }: FrameHeader,
  sequence: number,
): void {
  target.setUint32(FRAME_HEADER.magic, MAGIC, true);
  target.setUint32(FRAME_HEADER.type, type, true);
  target.setUint32(FRAME_HEADER.sequence, sequence, true);
  target.setUint32(FRAME_HEADER.length, lengthBytes, true);
}

/**
 * Reads a header, which is the peer's; what is wrong with it as a text.
 *
 * @param sequence what the frame's number must be
 */
export function decodeFrameHeader(
  view: DataView,
  sequence: number,
): FrameHeader | string {
  if (view.getUint32(FRAME_HEADER.magic, true) !== MAGIC) {
    return "it does not speak this protocol";
  }
  const kind = view.getUint32(FRAME_HEADER.type, true);
  if (!NAMES.has(kind)) return `it sent a frame of kind ${kind}`;
  const type = kind as FrameType;
  const found = view.getUint32(FRAME_HEADER.sequence, true);
  if (found !== sequence) {
    return `it sent frame ${found}, expected frame ${sequence}`;
  }
  const lengthBytes = view.getUint32(FRAME_HEADER.length, true);
  const most = MAX_PAYLOAD_BYTES[type];
  if (lengthBytes > most) {
    return `it sent ${
      frameName(type)
    } of ${lengthBytes} bytes, must be <= ${most}`;
  }
  return { type, lengthBytes };
}
