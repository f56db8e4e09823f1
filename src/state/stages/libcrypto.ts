/**
 * The host's libcrypto, for AES-256-GCM alone. Deno's own, in WebCrypto and
 * node:crypto, makes no use of the CPU's instructions for it.
 *
 * @module
 */

import { nonceOf, TAG_BYTES } from "./encrypted_stream.ts";
import type { FrameCipher } from "./frame_cipher.ts";
import type { FramePlace } from "./frames.ts";

/** The names of OpenSSL 3 and 1.1, whose functions these are alike in both. */
const NAMES = ["libcrypto.so.3", "libcrypto.so.1.1"] as const;

/** Foreign symbols, with the C prototype's types (openssl/evp.h). */
const SYMBOLS = {
  // EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void)
  EVP_CIPHER_CTX_new: { parameters: [], result: "pointer" },
  // void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *)
  EVP_CIPHER_CTX_free: { parameters: ["pointer"], result: "void" },
  // const EVP_CIPHER *EVP_aes_256_gcm(void)
  EVP_aes_256_gcm: { parameters: [], result: "pointer" },
  // int EVP_CipherInit_ex(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
  //   const unsigned char *key, const unsigned char *iv, int enc)
  EVP_CipherInit_ex: {
    parameters: ["pointer", "pointer", "pointer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  // int EVP_CipherUpdate(EVP_CIPHER_CTX *, unsigned char *out, int *outl,
  //   const unsigned char *in, int inl)
  EVP_CipherUpdate: {
    parameters: ["pointer", "buffer", "buffer", "buffer", "i32"],
    result: "i32",
  },
  // int EVP_CipherFinal_ex(EVP_CIPHER_CTX *, unsigned char *out, int *outl)
  EVP_CipherFinal_ex: {
    parameters: ["pointer", "buffer", "buffer"],
    result: "i32",
  },
  // int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *, int type, int arg, void *)
  EVP_CIPHER_CTX_ctrl: {
    parameters: ["pointer", "i32", "i32", "buffer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG (openssl/evp.h). */
const CTRL = { getTag: 0x10, setTag: 0x11 } as const;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;

/**
 * libcrypto's cipher; `undefined` where there is no libcrypto, or where it may
 * not be loaded. Nobody is asked for the permission.
 *
 * @param key 32 bytes
 * @param header of the stream, which is bound to each frame
 */
export function libcryptoCipher(
  key: Uint8Array<ArrayBuffer>,
  header: Uint8Array<ArrayBuffer>,
): FrameCipher | undefined {
  const library = load();
  return library && new LibcryptoCipher(library, key, header);
}

function load(): Library | undefined {
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return undefined;
  }
  for (const name of NAMES) {
    try {
      return Deno.dlopen(name, SYMBOLS);
    } catch {
      // Another one, then.
    }
  }
  return undefined;
}

class LibcryptoCipher implements FrameCipher {
  readonly #library: Library;
  readonly #key: Uint8Array<ArrayBuffer>;
  readonly #header: Uint8Array<ArrayBuffer>;
  /** Holds the key's schedule, and wipes it when it is freed. */
  readonly #context: Deno.PointerValue;
  readonly #cipher: Deno.PointerValue;
  /** How much a call wrote, which is known before. */
  readonly #written = new Int32Array(1);
  #isOpen = true;

  constructor(
    library: Library,
    key: Uint8Array<ArrayBuffer>,
    header: Uint8Array<ArrayBuffer>,
  ) {
    this.#library = library;
    this.#key = key;
    this.#header = header;
    this.#context = library.symbols.EVP_CIPHER_CTX_new();
    this.#cipher = library.symbols.EVP_aes_256_gcm();
  }

  seal(chunk: Uint8Array<ArrayBuffer>, place: FramePlace): Uint8Array {
    const body = new Uint8Array(chunk.length + TAG_BYTES);
    const tag = body.subarray(chunk.length);
    this.#begin(place, 1);
    this.#update(body, chunk);
    this.#check(this.#final(tag));
    this.#check(this.#control(CTRL.getTag, tag));
    return body;
  }

  open(body: Uint8Array<ArrayBuffer>, place: FramePlace): Uint8Array {
    const length = body.length - TAG_BYTES;
    const chunk = new Uint8Array(length);
    this.#begin(place, 0);
    this.#update(chunk, body.subarray(0, length));
    this.#check(this.#control(CTRL.setTag, body.subarray(length)));
    if (this.#final(new Uint8Array(TAG_BYTES)) !== 1) {
      throw new Error("the tag does not fit");
    }
    return chunk;
  }

  /** @param direction 1 encrypts, 0 decrypts */
  #begin(place: FramePlace, direction: 0 | 1): void {
    // SAFETY: nothing below is called once the context and library are gone.
    if (!this.#isOpen) throw new Error("the cipher is closed");
    this.#check(
      this.#library.symbols.EVP_CipherInit_ex(
        this.#context,
        this.#cipher,
        null,
        this.#key,
        nonceOf(place),
        direction,
      ),
    );
    this.#update(null, this.#header);
  }

  /** @param to as long as `from`; null for what is only bound to the frame */
  #update(
    to: Uint8Array<ArrayBuffer> | null,
    from: Uint8Array<ArrayBuffer>,
  ): void {
    // SAFETY: GCM writes as many bytes as it reads.
    this.#check(
      this.#library.symbols.EVP_CipherUpdate(
        this.#context,
        to,
        this.#written,
        from,
        from.length,
      ),
    );
  }

  #final(room: Uint8Array<ArrayBuffer>): number {
    // SAFETY: GCM writes nothing here; a block would have room.
    return this.#library.symbols.EVP_CipherFinal_ex(
      this.#context,
      room,
      this.#written,
    );
  }

  #control(type: number, tag: Uint8Array<ArrayBuffer>): number {
    // SAFETY: `tag` has the length that is said.
    return this.#library.symbols.EVP_CIPHER_CTX_ctrl(
      this.#context,
      type,
      TAG_BYTES,
      tag,
    );
  }

  #check(result: number): void {
    if (result !== 1) throw new Error("libcrypto failed");
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#library.symbols.EVP_CIPHER_CTX_free(this.#context);
    this.#library.close();
    this.#key.fill(0);
  }
}
