/**
 * Moves over TLS: the last word arrives, and a certificate that is refused is
 * told of on both sides.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  type EndOptions,
  listenForVms,
  MigrationError,
  TransportError,
} from "../../mod.ts";
import { FRAME } from "../../src/migration/frames.ts";
import { answerMessage, helloMessage } from "../../src/migration/messages.ts";
import { Wire } from "../../src/migration/wire.ts";
import {
  ARCHITECTURE,
  FORMAT_VERSION,
  openConnection,
} from "../../src/state/mod.ts";
import { Authority } from "../state/transports/certificates.ts";
import { tidily } from "./tidy.ts";

const NONCE = new Uint8Array(16);

/** Asks a receiver; the reasons that it gives. */
async function ask(
  to: string,
  tls: EndOptions["tls"],
  architecture: string,
): Promise<readonly string[]> {
  await using wire = new Wire(await openConnection(to, { tls }));
  await wire.send(FRAME.hello, {
    lowest: 1,
    highest: 1,
    creator: "a test",
    nonce: NONCE,
  });
  const hello = await wire.receive(FRAME.hello);
  const { nonce } = wire.read(helloMessage, hello.payload);
  await wire.send(FRAME.offer, {
    nonce,
    isQuestion: true,
    formatVersion: FORMAT_VERSION,
    architecture,
    components: [],
    state: [],
  });
  const answer = await wire.receive(FRAME.answer);
  return wire.read(answerMessage, answer.payload).reasons;
}

/** What a receiver and a sender show that trust one authority. */
async function trusted(ca: Authority) {
  const caCerts = [ca.cert];
  return {
    caCerts,
    server: { ...await ca.issue("DNS:localhost,IP:127.0.0.1"), caCerts },
    client: { ...await ca.issue("DNS:client"), caCerts },
  };
}

Deno.test("receive: over TLS the last frame before the end always arrives", async () => {
  await using ca = await Authority.create();
  const { server, client } = await trusted(ca);
  await using receiver = await listenForVms("tls://127.0.0.1:0", {
    tls: server,
  });
  // Deno's TLS on the client's side, and Node's.
  for (const tls of [client, { ...client, serverName: "localhost" }]) {
    for (let i = 0; i < 10; i++) {
      const asked = receiver.receive();
      const isOdd = i % 2 === 1;
      const reasons = await ask(
        receiver.name,
        tls,
        isOdd ? "sparc" : ARCHITECTURE,
      );
      assertEquals(reasons.length, isOdd ? 1 : 0);
      assertEquals(await asked, undefined);
    }
  }
});

Deno.test("receive: a wrong certificate is refused, and both sides say so", async () => {
  await using ca = await Authority.create();
  await using forger = await Authority.create();
  const { caCerts, server, client } = await trusted(ca);
  const forged = { ...await forger.issue("DNS:client"), caCerts };
  const told: string[] = [];
  await tidily(async () => {
    await using receiver = await listenForVms("tls://127.0.0.1:0", {
      tls: server,
      onRefused: ({ message }) => void told.push(message),
    });
    const received = receiver.receive();
    for (
      const [tls, reason] of [
        [{ caCerts }, /: there is none$/],
        [forged, /: nobody who is trusted vouches for it/],
      ] as const
    ) {
      const error = await assertRejects(
        () => ask(receiver.name, tls, ARCHITECTURE),
        MigrationError,
      );
      assertEquals(error.code, "MIGRATION_REFUSED");
      assertMatch(error.message, /refuses our certificate/);
      assertMatch(error.message, reason);
      assertEquals(error.reasons.length, 1);
      assert(error.hint !== undefined);
    }
    const untrusted = await assertRejects(
      () => ask(receiver.name, { caCerts: [forger.cert] }, ARCHITECTURE),
      TransportError,
    );
    assertEquals(untrusted.code, "END_TLS");
    // They did not keep the one that is expected from coming.
    assertEquals(await ask(receiver.name, client, ARCHITECTURE), []);
    assertEquals(await received, undefined);
  });
  assertMatch(told[0], /the client's certificate is refused: there is none/);
  assertMatch(told[1], /the client's certificate is refused: nobody/);
});
