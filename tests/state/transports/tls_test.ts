import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type EndOptions,
  listenOrigin,
  openOrigin,
  openTarget,
  type OriginListener,
  type TransportError,
} from "../../../mod.ts";
import { Authority } from "./certificates.ts";
import {
  allOf,
  assertSame,
  endTest,
  failure,
  IMAGE,
  receive,
  send,
} from "./ends.ts";

/** The next of a listener's origins, which stays open. */
function firstOf(listener: OriginListener) {
  return listener[Symbol.asyncIterator]();
}

/** What a TLS client that shows `tls` fails with, and what the server says. */
async function refusedClient(
  server: EndOptions["tls"],
  tls: EndOptions["tls"],
): Promise<{ error: TransportError; told: readonly TransportError[] }> {
  const told: TransportError[] = [];
  await using listener = await listenOrigin("tls://127.0.0.1:0", {
    tls: server,
    onRefused: (error) => void told.push(error),
  });
  const images = firstOf(listener);
  const next = images.next();
  const error = await failure("END_TLS", async () => {
    await send(await openTarget(listener.name, { tls, timeoutMs: 5000 }));
  });
  await listener.close();
  assertEquals((await next).done, true);
  return { error, told };
}

endTest(
  "tls: a client with a wrong certificate or none is told so",
  async () => {
    await using ca = await Authority.create();
    await using forger = await Authority.create();
    const caCerts = [ca.cert];
    const server = { ...await ca.issue(), caCerts };
    for (
      const [pair, reason] of [
        [{}, "there is none"],
        [await forger.issue("DNS:client"), "nobody who is trusted vouches"],
      ] as const
    ) {
      const { error, told } = await refusedClient(server, { ...pair, caCerts });
      assertStringIncludes(error.message, "refuses our certificate");
      assertStringIncludes(error.message, reason);
      assert(error.hint !== undefined);
      assertEquals(told.map(({ code }) => code), ["END_TLS"]);
      assertStringIncludes(told[0].message, reason);
    }
  },
);

endTest(
  "tls: a client's expired certificate is refused by both sides",
  async () => {
    await using ca = await Authority.create();
    const caCerts = [ca.cert];
    const old = await ca.issue("DNS:client", ["20200101", "20200102"]);
    const error = await failure(
      "END_TLS",
      () => openTarget("tls://127.0.0.1:1", { tls: { ...old, caCerts } }),
    );
    assertStringIncludes(error.message, "our certificate expired");
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: { ...await ca.issue(), caCerts },
    });
    const next = firstOf(listener).next();
    const conn = await Deno.connectTls({
      hostname: "127.0.0.1",
      port: Number(new URL(listener.name).port),
      caCerts,
      ...old,
    });
    await conn.handshake();
    const said = new Uint8Array(200);
    const count = await conn.read(said) ?? 0;
    assertStringIncludes(
      new TextDecoder().decode(said.subarray(0, count)),
      "it expired: Jan  2",
    );
    conn.close();
    await listener.close();
    assertEquals((await next).done, true);
  },
);

endTest(
  "tls: a server whose certificate is wrong is not told anything",
  async () => {
    await using ca = await Authority.create();
    await using other = await Authority.create();
    for (
      const [pair, caCert, reason] of [
        [await ca.issue("DNS:other"), ca.cert, "not valid for name"],
        [await other.issue(), ca.cert, "invalid peer certificate"],
      ] as const
    ) {
      await using listener = await listenOrigin("tls://127.0.0.1:0", {
        tls: pair,
      });
      const next = firstOf(listener).next();
      for (const open of [openTarget, openOrigin]) {
        const error = await failure(
          "END_TLS",
          () => open(listener.name, { tls: { caCerts: [caCert] } }),
        );
        assertStringIncludes(error.message, reason);
      }
      await listener.close();
      assertEquals((await next).done, true);
    }
  },
);

endTest(
  "tls: a server's expired certificate is refused by both sides",
  async () => {
    await using ca = await Authority.create();
    const old = await ca.issue("IP:127.0.0.1", ["20200101", "20200102"]);
    await failure(
      "END_TLS",
      () => listenOrigin("tls://127.0.0.1:0", { tls: old }),
    );
    using listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...old });
    const { port } = listener.addr as Deno.NetAddr;
    const served = listener.accept().then(async (conn) => {
      await conn.handshake().catch(() => {});
      conn.close();
    });
    const error = await failure(
      "END_TLS",
      () =>
        openTarget(`tls://127.0.0.1:${port}`, { tls: { caCerts: [ca.cert] } }),
    );
    assertStringIncludes(error.message, "certificate expired");
    await served;
  },
);

endTest(
  "tls: certificates and keys that make no sense are found at once",
  async () => {
    await using ca = await Authority.create();
    const [one, two] = [await ca.issue(), await ca.issue()];
    for (
      const tls of [
        { cert: one.cert },
        { key: one.key },
        { cert: "rubbish", key: one.key },
        { cert: one.cert, key: "rubbish" },
        { cert: one.cert, key: two.key },
        { ...one, caCerts: ["rubbish"] },
      ]
    ) {
      await failure("END_TLS", () => openTarget("tls://127.0.0.1:1", { tls }));
      await failure(
        "END_TLS",
        () => listenOrigin("tls://127.0.0.1:0", { tls }),
      );
    }
    await failure("END_TLS", () => listenOrigin("tls://127.0.0.1:0"));
  },
);

endTest("tls: a server that speaks no TLS is an error", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const served = listener.accept().then(async (conn) => {
    await conn.write(new TextEncoder().encode("220 mail.example ready\r\n"));
    conn.close();
  });
  await failure(
    ["END_TLS", "END_DROPPED"],
    () => openTarget(`tls://127.0.0.1:${port}`),
  );
  await served;
});

endTest(
  "tls: a peer that is silent is an error in time, on both sides",
  async () => {
    await using ca = await Authority.create();
    using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = silent.addr as Deno.NetAddr;
    for (const serverName of [undefined, "vm.example"]) {
      for (const pair of [{}, await ca.issue("DNS:client")]) {
        const tls = { ...pair, serverName };
        await failure(
          "END_TIMEOUT",
          () => openTarget(`tls://127.0.0.1:${port}`, { tls, timeoutMs: 500 }),
        );
        (await silent.accept()).close();
      }
    }
    const told = Promise.withResolvers<TransportError>();
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: await ca.issue(),
      timeoutMs: 200,
      onRefused: told.resolve,
    });
    const next = firstOf(listener).next();
    using conn = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(listener.name).port),
    });
    const error = await told.promise;
    assertStringIncludes(error.message, listener.name);
    assertEquals(
      await conn.read(new Uint8Array(1)).catch(() => null),
      null,
    );
    await listener.close();
    assertEquals((await next).done, true);
  },
);

endTest(
  "tls: clients that are silent do not keep the next from coming",
  async () => {
    await using ca = await Authority.create();
    const told: TransportError[] = [];
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: await ca.issue(),
      onRefused: (error) => void told.push(error),
    });
    const images = firstOf(listener);
    const next = images.next();
    const port = Number(new URL(listener.name).port);
    const silent: Deno.Conn[] = [];
    for (let i = 0; i < 5; i++) {
      silent.push(await Deno.connect({ hostname: "127.0.0.1", port }));
    }
    const tls = { caCerts: [ca.cert] };
    const sent = openTarget(listener.name, { tls })
      .then((target) => send(target));
    assertSame(await allOf((await next).value!), IMAGE);
    await images.return();
    await sent;
    // Closing the listener lets go of those that never said anything.
    await listener.close();
    for (const conn of silent) {
      const read = conn.read(new Uint8Array(1)).catch(() => null);
      assertEquals(await read, null);
      conn.close();
    }
    assertEquals(told, []);
  },
);

endTest(
  "tls: more clients at a time than are greeted all come in",
  async () => {
    await using ca = await Authority.create();
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: await ca.issue(),
    });
    const tls = { caCerts: [ca.cert] };
    const all = Array.from({ length: 20 }, async (_, i) => {
      const target = await openTarget(listener.name, { tls });
      await send(target, Uint8Array.of(i));
    });
    const got: number[] = [];
    for await (const origin of listener) {
      got.push(...await allOf(origin));
      if (got.length === all.length) break;
    }
    await Promise.all(all);
    assertEquals(got.toSorted((a, b) => a - b), [...all.keys()]);
  },
);

endTest(
  "tls: a client that speaks no TLS does not end a listener",
  async () => {
    await using ca = await Authority.create();
    const told: TransportError[] = [];
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: await ca.issue(),
      onRefused: (error) => void told.push(error),
    });
    const images = firstOf(listener);
    const next = images.next();
    const garbage = await Deno.connect({
      hostname: "127.0.0.1",
      port: Number(new URL(listener.name).port),
    });
    await garbage.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
    while (await garbage.read(new Uint8Array(100)).catch(() => null));
    garbage.close();
    const sent = openTarget(listener.name, { tls: { caCerts: [ca.cert] } })
      .then((target) => send(target));
    assertSame(await allOf((await next).value!), IMAGE);
    await images.return();
    await sent;
    assertEquals(told.map(({ code }) => code), ["END_TLS"]);
  },
);

endTest(
  "tls: an image that a plain client sends is refused, and never taken for stored",
  async () => {
    await using ca = await Authority.create();
    const told: TransportError[] = [];
    await using listener = await listenOrigin("tls://127.0.0.1:0", {
      tls: await ca.issue(),
      onRefused: (error) => void told.push(error),
    });
    const next = firstOf(listener).next();
    const plain = listener.name.replace("tls:", "tcp:");
    const lengths = [1000, 2_000_000];
    // A TLS client's beginning, and then none.
    const hello = [0x16, 3, 1, 0, 200, 1, 0];
    for (const first of [[0x89], hello]) {
      for (const length of lengths) {
        const image = new Uint8Array(length);
        image.set(first);
        for (let i = 0; i < 5; i++) {
          const error = await failure(
            ["END_TLS", "END_DROPPED"],
            async () => await send(await openTarget(plain), image),
          );
          if (first === hello) continue;
          assertEquals(error.code, "END_TLS");
          assertStringIncludes(error.message, "has no TLS");
          assertEquals(error.hint, "the peer takes tls: only");
        }
      }
    }
    await listener.close();
    assertEquals((await next).done, true);
    assertStringIncludes(told[0].message, "it speaks no TLS");
  },
);

endTest("tls: an origin reads what a server sends", async () => {
  await using ca = await Authority.create();
  using listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    ...await ca.issue(),
  });
  const { port } = listener.addr as Deno.NetAddr;
  const served = listener.accept().then(async (conn) => {
    await new Blob([IMAGE]).stream().pipeTo(conn.writable);
  });
  const origin = await openOrigin(`tls://127.0.0.1:${port}`, {
    tls: { caCerts: [ca.cert] },
  });
  assertSame(await receive(origin), IMAGE);
  await served;
});
