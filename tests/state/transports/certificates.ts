/**
 * Certificates for tests, made by the openssl command.
 *
 * @module
 */

import { Scratch } from "../../support.ts";

/** A certificate and its key, as PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** Vouches for certificates. */
export class Authority implements AsyncDisposable {
  readonly #scratch = new Scratch();
  /** Its own certificate. */
  cert = "";

  /** Makes one; those of the same name differ in their keys. */
  static async create(name = "Test CA"): Promise<Authority> {
    const ca = new Authority();
    await ca.#openssl(
      ...["req", "-x509", "-nodes", "-days", "2", "-subj", `/CN=${name}`],
      ...[...KEY, "-keyout", "ca.key", "-out", "ca.pem"],
    );
    const it = ca.#scratch;
    await Deno.writeTextFile(it.file("index"), "");
    await Deno.writeTextFile(it.file("serial"), "01");
    await Deno.writeTextFile(it.file("ca.conf"), CA_CONFIG);
    ca.cert = await ca.#read("ca.pem");
    return ca;
  }

  /**
   * Makes a certificate.
   *
   * @param altName such as `"IP:127.0.0.1"`
   * @param days when it is valid, such as `["20200101", "20200102"]`
   */
  async issue(
    altName = "IP:127.0.0.1",
    days: readonly [string, string] = ["20200101", "20491231"],
  ): Promise<Pair> {
    await this.#openssl(
      ...["req", "-nodes", "-subj", `/CN=${altName}`],
      ...[...KEY, "-keyout", "it.key", "-out", "it.csr"],
    );
    await Deno.writeTextFile(
      this.#scratch.file("ext"),
      `[v3]\nbasicConstraints=CA:FALSE\nsubjectAltName=${altName}\n`,
    );
    await this.#openssl(
      ...["ca", "-batch", "-notext", "-config", "ca.conf"],
      ...["-cert", "ca.pem", "-keyfile", "ca.key", "-in", "it.csr"],
      ...["-out", "it.pem", "-extensions", "v3", "-extfile", "ext"],
      ...["-startdate", `${days[0]}000000Z`, "-enddate", `${days[1]}000000Z`],
    );
    return {
      cert: await this.#read("it.pem"),
      key: await this.#read("it.key"),
    };
  }

  #read(name: string): Promise<string> {
    return Deno.readTextFile(this.#scratch.file(name));
  }

  async #openssl(...args: string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: this.#scratch.path,
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scratch[Symbol.asyncDispose]();
  }
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

const CA_CONFIG = `[ca]
default_ca = it
[it]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`;
