import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type EndOptions,
  type ImageTarget,
  type ListenOptions,
  listenOrigin,
  openOrigin,
  openTarget,
  type OriginListener,
} from "../../../mod.ts";
import { delay, Scratch } from "../../support.ts";
import { Authority } from "./certificates.ts";
import {
  allOf,
  assertSame,
  endTest,
  failure,
  IMAGE,
  receive,
  send,
  thrown,
  writePieces,
} from "./ends.ts";

/** One way to connect, and where to listen for it. */
interface Way extends AsyncDisposable {
  readonly where: string;
  readonly listen?: ListenOptions;
  readonly connect?: EndOptions;
}

/** Longer than a handshake takes on a busy machine. */
const STALL_MS = 2000;

const none = { [Symbol.asyncDispose]: () => Promise.resolve() };

/** Every way that both sides of can be had. */
const WAYS: Record<string, () => Promise<Way>> = {
  tcp: () => Promise.resolve({ where: "tcp://127.0.0.1:0", ...none }),
  "tcp over IPv6": () => Promise.resolve({ where: "tcp://[::1]:0", ...none }),
  unix: () => {
    const scratch = new Scratch();
    return Promise.resolve({
      where: `unix:${scratch.file("s.sock")}`,
      [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
    });
  },
  tls: async () => {
    await using ca = await Authority.create();
    const caCerts = [ca.cert];
    return {
      where: "tls://127.0.0.1:0",
      listen: { tls: { ...await ca.issue(), caCerts } },
      connect: { tls: { ...await ca.issue("DNS:client"), caCerts } },
      ...none,
    };
  },
  "tls with a server's name": async () => {
    await using ca = await Authority.create();
    const caCerts = [ca.cert];
    const serverName = "vm.example";
    return {
      where: "tls://127.0.0.1:0",
      listen: { tls: { ...await ca.issue(`DNS:${serverName}`), caCerts } },
      connect: {
        tls: { ...await ca.issue("DNS:client"), caCerts, serverName },
      },
      ...none,
    };
  },
  "tls without a client's certificate": async () => {
    await using ca = await Authority.create();
    return {
      where: "tls://127.0.0.1:0",
      listen: { tls: await ca.issue("DNS:vm.example") },
      connect: { tls: { caCerts: [ca.cert], serverName: "vm.example" } },
      ...none,
    };
  },
};

/** The next of a listener's origins, which stays open. */
function firstOf(listener: OriginListener) {
  return listener[Symbol.asyncIterator]();
}

for (const [name, make] of Object.entries(WAYS)) {
  endTest(`${name}: images arrive one after the other`, async () => {
    await using way = await make();
    await using listener = await listenOrigin(way.where, way.listen);
    const sent = (async () => {
      for (let i = 0; i < 3; i++) {
        await send(await openTarget(listener.name, way.connect));
      }
    })();
    let count = 0;
    for await (const origin of listener) {
      assertSame(await allOf(origin), IMAGE);
      if (++count === 3) break;
    }
    await sent;
  });

  endTest(
    `${name}: a commit resolves when the peer has taken all`,
    async () => {
      await using way = await make();
      await using listener = await listenOrigin(way.where, way.listen);
      const images = firstOf(listener);
      const next = images.next();
      await using target = await openTarget(listener.name, way.connect);
      const origin = (await next).value!;
      let isCommitted = false;
      const sent = (async () => {
        await writePieces(target, IMAGE);
        await target.commit();
        isCommitted = true;
      })();
      assertSame(await allOf(origin), IMAGE);
      await delay(20);
      assertEquals(isCommitted, false);
      await origin[Symbol.asyncDispose]();
      await sent;
      await images.return();
    },
  );

  endTest(`${name}: an image that is given up is never complete`, async () => {
    await using way = await make();
    await using listener = await listenOrigin(way.where, way.listen);
    const images = firstOf(listener);
    const next = images.next();
    {
      await using target = await openTarget(listener.name, way.connect);
      // All of it, but no commit.
      const write = writePieces(target, IMAGE.subarray(0, 1000));
      const origin = (await next).value!;
      await write;
      await target[Symbol.asyncDispose]();
      const read = await allOf(origin).catch(() => new Uint8Array());
      assert(read.length < 1000);
    }
    await images.return();
  });

  endTest(`${name}: a peer that leaves midway is an error`, async () => {
    await using way = await make();
    await using listener = await listenOrigin(way.where, way.listen);
    const images = firstOf(listener);
    const next = images.next();
    await using target = await openTarget(listener.name, way.connect);
    const written = target.write(IMAGE.subarray(0, 100_000));
    const origin = (await next).value!;
    await written;
    await origin.readable.getReader().read();
    await origin[Symbol.asyncDispose]();
    const error = await failure("END_DROPPED", async () => {
      for (;;) await target.write(IMAGE);
    });
    assertStringIncludes(error.message, error.end);
    await failure("END_DROPPED", () => target.commit());
    await images.return();
  });

  endTest(
    `${name}: a peer that reads no more is an error in time`,
    async () => {
      await using way = await make();
      await using listener = await listenOrigin(way.where, way.listen);
      const images = firstOf(listener);
      const next = images.next();
      await using target = await openTarget(listener.name, {
        ...way.connect,
        timeoutMs: STALL_MS,
      });
      await next;
      await failure("END_TIMEOUT", async () => {
        for (;;) await target.write(IMAGE);
      });
      await images.return();
    },
  );

  endTest(`${name}: a peer that never closes is an error in time`, async () => {
    await using way = await make();
    await using listener = await listenOrigin(way.where, way.listen);
    const images = firstOf(listener);
    const next = images.next();
    await using target = await openTarget(listener.name, {
      ...way.connect,
      timeoutMs: STALL_MS,
    });
    await next;
    await target.write(Uint8Array.of(1, 2));
    await failure("END_TIMEOUT", () => target.commit());
    await images.return();
  });

  endTest(
    `${name}: a peer that sends no more is an error in time`,
    async () => {
      await using way = await make();
      await using listener = await listenOrigin(way.where, {
        ...way.listen,
        timeoutMs: STALL_MS,
      });
      const images = firstOf(listener);
      const next = images.next();
      await using target = await openTarget(listener.name, way.connect);
      await target.write(Uint8Array.of(1, 2));
      const origin = (await next).value!;
      await failure("END_TIMEOUT", () => allOf(origin));
      await images.return();
    },
  );

  endTest(`${name}: an abort ends each stage with its reason`, async () => {
    await using way = await make();
    const mine = new Error("enough");
    for (const stage of ["accept", "read", "write", "commit", "idle"]) {
      const [sender, receiver] = [new AbortController(), new AbortController()];
      await using listener = await listenOrigin(way.where, {
        ...way.listen,
        signal: receiver.signal,
      });
      const images = firstOf(listener);
      const next = images.next();
      if (stage === "accept") {
        queueMicrotask(() => receiver.abort(mine));
        assertEquals(await thrown(() => next), mine);
        continue;
      }
      await using target = await openTarget(listener.name, {
        ...way.connect,
        signal: sender.signal,
      });
      await target.write(IMAGE.subarray(0, 100));
      const origin = (await next).value!;
      setTimeout(() => {
        (stage === "read" ? receiver : sender).abort(mine);
      }, 20);
      const error = await thrown(async () => {
        if (stage === "read") await allOf(origin);
        if (stage === "commit") await target.commit();
        if (stage === "write") { for (;;) await target.write(IMAGE); }
        await delay(60);
        await target.write(IMAGE);
      });
      assertEquals(error, mine);
      await images.return().catch(() => {});
    }
    const signal = AbortSignal.abort(mine);
    for (const open of [openTarget, openOrigin, listenOrigin]) {
      const options = { ...way.connect, ...way.listen, signal };
      assertEquals(await thrown(() => open(way.where, options)), mine);
    }
  });

  endTest(`${name}: nobody there is an error with a hint`, async () => {
    await using way = await make();
    const listener = await listenOrigin(way.where, way.listen);
    await listener.close();
    for (const open of [openTarget, openOrigin]) {
      const error = await failure(
        "END_REFUSED",
        () => open(listener.name, way.connect),
      );
      assertStringIncludes(error.message, listener.name);
      assert(error.hint !== undefined && error.cause !== undefined);
    }
  });

  endTest(`${name}: closing a listener ends who waits for it`, async () => {
    await using way = await make();
    await using listener = await listenOrigin(way.where, way.listen);
    const next = firstOf(listener).next();
    await delay(5);
    await listener.close();
    assertEquals(await next, { done: true, value: undefined });
  });
}

endTest("tcp: an origin reads what a server sends", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const served = listener.accept().then(async (conn) => {
    await new Blob([IMAGE]).stream().pipeTo(conn.writable);
  });
  const origin = await openOrigin(`tcp://127.0.0.1:${port}`);
  assertSame(await receive(origin), IMAGE);
  await served;
});

endTest("tcp: a peer that talks back is an error that quotes it", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  await using target = await openTarget(`tcp://127.0.0.1:${port}`);
  using conn = await listener.accept();
  await conn.write(new TextEncoder().encode("220 mail\u001b[31m\r\n"));
  await target.write(Uint8Array.of(1));
  const error = await failure("END_DROPPED", () => target.commit());
  assertStringIncludes(error.message, '"220 mail\\u001b[31m"');
});

endTest("tcp: names and ports that are not there are errors", async () => {
  await failure("END_REFUSED", () => openTarget("tcp://no-such.invalid:1"));
  await failure("END_URL", () => openTarget("tcp://127.0.0.1:0"));
  await failure("END_IO", () => listenOrigin("tcp://192.0.2.1:0"));
  await using listener = await listenOrigin("tcp://127.0.0.1:0");
  await failure("END_IO", () => listenOrigin(listener.name));
  await failure("END_URL", () => listenOrigin("http://127.0.0.1:0/"));
  await failure("END_URL", () => listenOrigin("vm.img"));
});

endTest("tcp: a host that never answers is an error in time", async () => {
  // A queue of connections that is full takes no more: the kernel drops them.
  const server = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `const s = (await import("node:net")).createServer();
       s.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
         console.log(s.address().port);
         Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
       });`,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = server.stdout.getReader();
  const line = new TextDecoder().decode((await reader.read()).value);
  const url = `tcp://127.0.0.1:${Number(line)}`;
  const targets: ImageTarget[] = [];
  const error = await failure("END_TIMEOUT", async () => {
    for (;;) targets.push(await openTarget(url, { timeoutMs: 300 }));
  });
  assertStringIncludes(error.message, "Cannot connect to");
  const mine = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(mine), 50);
  const { signal } = controller;
  assertEquals(await thrown(() => openTarget(url, { signal })), mine);
  for (const target of targets) await target[Symbol.asyncDispose]();
  server.kill("SIGKILL");
  await reader.cancel();
  await server.status;
});

endTest(
  "unix: a listener's socket is its user's alone, and goes with it",
  async () => {
    await using scratch = new Scratch();
    const path = scratch.file("s.sock");
    const listener = await listenOrigin(`unix:${path}`);
    const info = Deno.lstatSync(path);
    assert(info.isSocket);
    assertEquals(info.mode! & 0o777, 0o600);
    const error = await failure("END_IO", () => listenOrigin(`unix:${path}`));
    assertStringIncludes(error.message, "another process listens");
    await listener.close();
    await failure("END_REFUSED", () => openTarget(`unix:${path}`));
    assertEquals([...Deno.readDirSync(scratch.path)], []);
  },
);

endTest(
  "unix: a socket that was left is replaced, and no other file",
  async () => {
    await using scratch = new Scratch();
    const path = scratch.file("s.sock");
    const code = `Deno.listen({ transport: "unix", path: ${
      JSON.stringify(path)
    } });
    Deno.kill(Deno.pid, "SIGKILL");`;
    await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
    assert(Deno.lstatSync(path).isSocket);
    await (await listenOrigin(`unix:${path}`)).close();
    Deno.writeTextFileSync(path, "precious");
    const error = await failure("END_IO", () => listenOrigin(`unix:${path}`));
    assertStringIncludes(error.message, "no socket");
    assertEquals(Deno.readTextFileSync(path), "precious");
    await failure("END_IO", () => listenOrigin(`unix:${path}/absent/s`));
    await failure("END_REFUSED", () => openOrigin(`unix:${path}`));
  },
);

endTest(
  "tcp: a peer that ends its side before the last byte has not taken the image",
  async () => {
    let seen = 0;
    for (let i = 0; i < 20; i++) {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = listener.addr as Deno.NetAddr;
      const accepted = listener.accept();
      await using target = await openTarget(`tcp://127.0.0.1:${port}`);
      using conn = await accepted;
      await target.write(new Uint8Array(1000));
      await conn.closeWrite();
      const error = await target.commit().catch((error: Error) => error);
      if (error) assertStringIncludes(error.message, "before it had all");
      if (error) seen++;
    }
    // On a busy machine an end can be seen too late.
    assert(seen > 10, `${seen} of 20`);
  },
);
