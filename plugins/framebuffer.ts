/**
 * A screen: pixels that a program maps, and that a script looks at as PNG.
 *
 * `/dev/fb0` is what <linux/fb.h> describes, with 32 bits a pixel (0x00RRGGBB):
 * a program asks for its size by ioctl, then maps it with MAP_SHARED, or reads
 * and writes it at an offset. Each access to the mapping leaves the VM, so that
 * whole rows are better written. A mapping is no memory: it takes plain loads
 * and stores of at most 16 bytes (no AVX), and no system call reads from it.
 *
 * Options: `width` (default 64) and `height` (default 48), pixels; `number`
 * (default 0), that of `/dev/fb0`; `png`, a file that gets the screen at each
 * save and at the end. Because of that file a restore has to name the device.
 *
 * @module
 */

import { dirname } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import {
  defineDevice,
  type DeviceDefinition,
  type DeviceHandle,
  ERRNO,
  MMIO_GPA,
} from "../mod.ts";

/** Puts a file in the place of what is there: of a link too, and not where it leads. */
function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = Deno.makeTempFileSync({ dir: dirname(path) });
  try {
    Deno.writeFileSync(temporary, bytes);
    Deno.chmodSync(temporary, 0o666 & ~Deno.umask());
    Deno.renameSync(temporary, path);
  } catch (error) {
    Deno.removeSync(temporary);
    throw error;
  }
}

/** What a screen is when the VM is saved; its pixels are the part's data. */
export interface FramebufferStateV1 {
  readonly width: number;
  readonly height: number;
}

/** A screen in a VM, for the script that made it. */
export interface Screen extends FramebufferStateV1 {
  /** Four bytes a pixel: blue, green, red, nothing. They change as it runs. */
  readonly pixels: Uint8Array;
  /** What it shows now, as a PNG file. */
  png(): Uint8Array<ArrayBuffer>;
}

/** What a script may choose that a command line cannot. */
export interface FramebufferOptions {
  /** Takes the screen of each VM that is made with the device. */
  readonly attached?: (screen: Screen) => void;
}

/** Largest width and height, pixels. */
const MAX_SIDE = 2048;

/** How far the screens are apart, bytes: a power of two above the largest. */
const SPACING_BYTES = 32 * 1024 * 1024;

const PAGE_BYTES = 4096;

/** Requests of linux/fb.h. */
const FBIO = { getVar: 0x4600, putVar: 0x4601, getFix: 0x4602 } as const;

/** Sizes of struct fb_var_screeninfo and fb_fix_screeninfo, bytes. */
const VAR_BYTES = 160;
const FIX_BYTES = 80;

/**
 * Makes the device, for a script that wants to see the screen.
 *
 * @param options what to do with the screen
 */
export function makeFramebuffer(
  { attached }: FramebufferOptions = {},
): DeviceDefinition<
  FramebufferStateV1,
  { width?: number; height?: number; number: number; png: string }
> {
  return defineDevice({
    kind: "framebuffer",
    version: 1,
    config(values) {
      const side = (key: string) =>
        values.has(key)
          ? values.number(key, { min: 1, max: MAX_SIDE })
          : undefined;
      return {
        width: side("width"),
        height: side("height"),
        number: values.number("number", { default: 0, max: 31 }),
        png: values.text("png", ""),
      };
    },
    create({ config, savedParts, warn }, saved?: FramebufferStateV1) {
      const { width, height } = checkedSize(config, saved);
      const gpa = MMIO_GPA + (config.number + 1) * SPACING_BYTES;
      const screenBytes = width * height * 4;
      const lengthBytes = Math.ceil(screenBytes / PAGE_BYTES) * PAGE_BYTES;
      const memory = new Uint8Array(lengthBytes);
      if (saved) {
        const { data } = savedParts[0];
        if (data.length !== lengthBytes) {
          throw new Error(`it has ${data.length} bytes, not ${lengthBytes}`);
        }
        memory.set(data);
      }
      const pixels = memory.subarray(0, screenBytes);
      const png = () => encodePng(width, height, pixels);
      const writePng = () => {
        if (config.png === "") return;
        try {
          replaceFile(config.png, png());
        } catch (error) {
          warn(`cannot write ${config.png}: ${(error as Error).message}`);
        }
      };
      attached?.({ width, height, pixels, png });
      const handle: DeviceHandle = {
        size: () => screenBytes,
        read: (most, { offset = 0 }) => pixels.slice(offset, offset + most),
        write(bytes, { offset = 0 }) {
          const room = screenBytes - offset;
          if (room <= 0) return -ERRNO.ENOSPC;
          const fits = bytes.subarray(0, room);
          pixels.set(fits, offset);
          return fits.length;
        },
        mmap: (offset, wantedBytes) =>
          offset + wantedBytes <= lengthBytes ? gpa + offset : -ERRNO.EINVAL,
        ioctlBytes: {
          [FBIO.getVar]: VAR_BYTES,
          [FBIO.putVar]: VAR_BYTES,
          [FBIO.getFix]: FIX_BYTES,
        },
        ioctl(request, data) {
          const view = new DataView(data.buffer, data.byteOffset, data.length);
          switch (request) {
            case FBIO.getVar:
              return putVarInfo(view, width, height);
            case FBIO.putVar: // it has one mode
              return view.getUint32(0, true) === width &&
                  view.getUint32(4, true) === height &&
                  view.getUint32(24, true) === 32
                ? putVarInfo(view, width, height)
                : -ERRNO.EINVAL;
            case FBIO.getFix:
              return putFixInfo(view, width, gpa, lengthBytes);
            default:
              return -ERRNO.ENOTTY;
          }
        },
      };
      return {
        mmio: [{
          gpa,
          lengthBytes,
          read: (offset, data) =>
            data.set(memory.subarray(offset, offset + data.length)),
          write: (offset, data) => memory.set(data, offset),
        }],
        files: { [`/dev/fb${config.number}`]: () => handle },
        dump() {
          writePng();
          // A copy: the program may draw on while the image is written.
          const data = [memory.slice()];
          return {
            answer: "many",
            parts: [{ value: { width, height }, data }],
          };
        },
        dispose: writePng,
      };
    },
  });
}

export default makeFramebuffer();

/** The size that was asked for, or that was saved. @throws {Error} */
function checkedSize(
  { width, height }: Partial<FramebufferStateV1>,
  saved?: FramebufferStateV1,
): FramebufferStateV1 {
  if (!saved) return { width: width ?? 64, height: height ?? 48 };
  for (const side of [saved.width, saved.height]) {
    if (!(Number.isInteger(side) && side >= 1 && side <= MAX_SIDE)) {
      throw new Error(`its size is ${saved.width} x ${saved.height}`);
    }
  }
  const isSame = (width ?? saved.width) === saved.width &&
    (height ?? saved.height) === saved.height;
  if (isSame) return saved;
  throw new Error(`its size was ${saved.width} x ${saved.height}`);
}

/** Fills a struct fb_var_screeninfo (linux/fb.h). */
function putVarInfo(view: DataView, width: number, height: number): number {
  for (let at = 0; at < VAR_BYTES; at += 4) view.setUint32(at, 0, true);
  const words: readonly (readonly [number, number])[] = [
    [0, width], // xres
    [4, height], // yres
    [8, width], // xres_virtual
    [12, height], // yres_virtual
    [24, 32], // bits_per_pixel
    [32, 16], // red: offset and length
    [36, 8],
    [44, 8], // green
    [48, 8],
    [56, 0], // blue
    [60, 8],
    [88, 0xffff_ffff], // height and width in mm: not known
    [92, 0xffff_ffff],
  ];
  for (const [at, value] of words) view.setUint32(at, value, true);
  return 0;
}

/** Fills a struct fb_fix_screeninfo (linux/fb.h): packed pixels, true color. */
function putFixInfo(
  view: DataView,
  width: number,
  gpa: number,
  lengthBytes: number,
): number {
  for (let at = 0; at < FIX_BYTES; at += 4) view.setUint32(at, 0, true);
  [..."scratchvm"].forEach((c, i) => view.setUint8(i, c.charCodeAt(0)));
  view.setBigUint64(16, BigInt(gpa), true); // smem_start
  view.setUint32(24, lengthBytes, true); // smem_len
  view.setUint32(36, 2, true); // visual: FB_VISUAL_TRUECOLOR
  view.setUint32(48, width * 4, true); // line_length
  return 0;
}

/** A PNG file (RFC 2083): RGB, 8 bits each, no filter. */
function encodePng(
  width: number,
  height: number,
  pixels: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const rowBytes = 1 + width * 3; // the filter's number, then RGB
  const rows = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 4;
      const to = y * rowBytes + 1 + x * 3;
      for (let c = 0; c < 3; c++) rows[to + c] = pixels[from + 2 - c];
    }
  }
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits a sample
  header.setUint8(9, 2); // color type: RGB
  const pieces = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk("IHDR", new Uint8Array(header.buffer)),
    pngChunk("IDAT", deflateSync(rows)),
    pngChunk("IEND", new Uint8Array()),
  ];
  const png = new Uint8Array(pieces.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const piece of pieces) {
    png.set(piece, at);
    at += piece.length;
  }
  return png;
}

/** Length, type, data, and the checksum of the latter two. */
function pngChunk(type: string, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + data.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, data.length);
  [...type].forEach((c, i) => view.setUint8(4 + i, c.charCodeAt(0)));
  chunk.set(data, 8);
  const checked = chunk.subarray(4, 8 + data.length);
  view.setUint32(8 + data.length, crc32(checked));
  return chunk;
}
