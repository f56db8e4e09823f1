import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type EndOptions, openOrigin, openTarget } from "../../../mod.ts";
import { delay } from "../../support.ts";
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

/** A store of objects, as a server of HTTP has one. */
class Store implements AsyncDisposable {
  /** What is stored, by path. */
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  /** The headers of the last request. */
  headers = new Headers();
  /** How many bodies did not come to their end. */
  broken = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #scheme: string;

  constructor(pair?: { cert: string; key: string }) {
    this.#scheme = pair ? "https" : "http";
    const options = { hostname: "127.0.0.1", port: 0, onListen() {}, ...pair };
    this.#server = Deno.serve(
      options,
      (request) => this.#answer(request),
    ) as Deno.HttpServer<Deno.NetAddr>;
  }

  url(path: string): string {
    return `${this.#scheme}://127.0.0.1:${this.#server.addr.port}${path}`;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    this.headers = request.headers;
    if (pathname === "/moved") return Response.redirect(this.url("/vm.img"));
    if (pathname === "/loop") return Response.redirect(this.url("/loop"));
    if (pathname === "/early") {
      return new Response("no\u001b[31m", { status: 403 });
    }
    if (request.method === "GET") {
      const body = this.objects.get(pathname);
      return new Response(body ?? "nothing here", { status: body ? 200 : 404 });
    }
    let body: Uint8Array<ArrayBuffer>;
    try {
      body = await request.bytes();
    } catch {
      this.broken++;
      return new Response();
    }
    if (pathname === "/403") {
      return new Response("<Error>\nno</Error>", { status: 403 });
    }
    if (pathname === "/500") {
      return new Response("x".repeat(9000), { status: 500 });
    }
    this.objects.set(pathname, body);
    return new Response(null, { status: 201 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A server that answers its first connection with `text`, as it is. */
function answering(text: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const served = listener.accept().then(async (conn) => {
    await conn.read(new Uint8Array(65536));
    await conn.write(new TextEncoder().encode(text));
    conn.close();
  });
  return {
    url: `http://127.0.0.1:${port}/vm.img?secret`,
    async [Symbol.asyncDispose](): Promise<void> {
      await served;
      listener.close();
    },
  };
}

/** Names of temporary files that images wait in. */
function spoolFiles(): string[] {
  const folder = Deno.env.get("TMPDIR") ?? "/tmp";
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.startsWith("image-"));
}

/** With the length known, and not. */
const LENGTHS: readonly EndOptions[] = [{}, { lengthBytes: IMAGE.length }];

for (const options of LENGTHS) {
  const how = options.lengthBytes ? "of known length" : "of any length";

  endTest(`http: an image ${how} is put, and got again`, async () => {
    await using store = new Store();
    const url = store.url("/vm.img?X-Signature=secret");
    const headers = { "X-Mine": "1" };
    await send(await openTarget(url, { ...options, headers }));
    assertSame(store.objects.get("/vm.img")!, IMAGE);
    assertEquals(store.headers.get("content-length"), `${IMAGE.length}`);
    assertEquals(store.headers.get("transfer-encoding"), null);
    assertEquals(store.headers.get("x-mine"), "1");
    assertSame(await receive(await openOrigin(url, { headers })), IMAGE);
    assertEquals(store.headers.get("x-mine"), "1");
    assertSame(await receive(await openOrigin(store.url("/moved"))), IMAGE);
  });

  endTest(`http: an image ${how} that is given up is no object`, async () => {
    await using store = new Store();
    const spools = spoolFiles();
    {
      await using target = await openTarget(store.url("/vm.img"), options);
      // All of it, but no commit.
      await writePieces(target, IMAGE);
    }
    if (options.lengthBytes) { while (store.broken === 0) await delay(1); }
    assertEquals(store.objects.size, 0);
    assertEquals(spoolFiles(), spools);
  });

  endTest(`http: a server that refuses an image ${how} is quoted`, async () => {
    await using store = new Store();
    for (
      const [path, words] of [
        ["/403", "403 Forbidden: <Error> no</Error>"],
        ["/500", `500 Internal Server Error: ${"x".repeat(200)}`],
      ]
    ) {
      const url = store.url(`${path}?secret`);
      const error = await failure("END_HTTP", async () => {
        await send(await openTarget(url, options));
      });
      assert(error.message.endsWith(words), error.message);
      assertStringIncludes(error.message, `${path}?…`);
      assert(!error.message.includes("secret"));
    }
    const error = await failure(["END_HTTP", "END_DROPPED"], async () => {
      await send(await openTarget(store.url("/early"), options));
    });
    assert(!error.message.includes("\u001b"));
    const moved = await failure("END_HTTP", async () => {
      await send(await openTarget(store.url("/moved"), options));
    });
    assertStringIncludes(moved.message, "302");
  });

  endTest(`http: nobody there for an image ${how} is an error`, async () => {
    const error = await failure("END_REFUSED", async () => {
      await send(await openTarget("http://127.0.0.1:1/x?secret", options));
    });
    assert(!error.message.includes("secret"));
  });

  endTest(`http: a silent server is an error in time (${how})`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const accepted = listener.accept();
    await failure("END_TIMEOUT", async () => {
      const url = `http://127.0.0.1:${port}/x`;
      await send(await openTarget(url, { ...options, timeoutMs: 200 }));
    });
    (await accepted).close();
  });

  endTest(`http: an abort ends a put (${how}) with its reason`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const accepted = listener.accept();
    const mine = new Error("enough");
    const controller = new AbortController();
    const { signal } = controller;
    await using target = await openTarget(`http://127.0.0.1:${port}/x`, {
      ...options,
      signal,
    });
    setTimeout(() => controller.abort(mine), 50);
    const error = await thrown(async () => {
      await writePieces(target, IMAGE);
      await target.commit();
    });
    assertEquals(error, mine);
    (await accepted).close();
  });
}

endTest(
  "http: an image that is not as long as was said is no object",
  async () => {
    await using store = new Store();
    const url = store.url("/vm.img");
    for (const lengthBytes of [IMAGE.length - 1, IMAGE.length + 1, 0]) {
      const error = await failure("END_HTTP", async () => {
        await send(await openTarget(url, { lengthBytes }));
      });
      assertStringIncludes(error.message, `${lengthBytes} bytes`);
    }
    assertEquals(store.objects.get("/vm.img"), undefined);
  },
);

endTest("http: an image of no bytes is an object of none", async () => {
  await using store = new Store();
  for (const options of [{}, { lengthBytes: 0 }]) {
    const target = await openTarget(store.url("/vm.img"), options);
    await send(target, new Uint8Array());
    assertEquals(store.objects.get("/vm.img")?.length, 0);
    store.objects.clear();
  }
});

endTest("http: what cannot be got is an error", async () => {
  await using store = new Store();
  const absent = await failure(
    "END_HTTP",
    () => openOrigin(store.url("/x?secret")),
  );
  assertStringIncludes(absent.message, "404 Not Found: nothing here");
  assert(!absent.message.includes("secret"));
  const loop = await failure("END_HTTP", () => openOrigin(store.url("/loop")));
  assertStringIncludes(loop.message, "10 times");
  await failure("END_REFUSED", () => openOrigin("http://127.0.0.1:1/"));
});

endTest(
  "http: a body that breaks off is an error, however it was framed",
  async () => {
    for (
      const text of [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
      ]
    ) {
      await using server = answering(text);
      await failure("END_DROPPED", async () => {
        await receive(await openOrigin(server.url));
      });
    }
  },
);

endTest("http: an answer that makes no sense is an error", async () => {
  for (
    const text of [
      "",
      "220 mail ready\r\n",
      "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
      "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n",
    ]
  ) {
    await using server = answering(text);
    const error = await failure(
      ["END_HTTP", "END_DROPPED", "END_REFUSED"],
      async () => {
        await receive(await openOrigin(server.url));
      },
    );
    assert(!error.message.includes("secret"), error.message);
  }
});

endTest("http: a server that stalls or an abort ends a get", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const url = `http://127.0.0.1:${port}/x`;
  const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
  for (const text of ["", head]) {
    const accepted = listener.accept();
    const failed = failure("END_TIMEOUT", async () => {
      await receive(await openOrigin(url, { timeoutMs: 200 }));
    });
    const conn = await accepted;
    await conn.write(new TextEncoder().encode(text));
    await failed;
    conn.close();
  }
  const mine = new Error("enough");
  const controller = new AbortController();
  const { signal } = controller;
  const opened = openOrigin(url, { signal });
  using conn = await listener.accept();
  await conn.write(new TextEncoder().encode(head));
  await using origin = await opened;
  setTimeout(() => controller.abort(mine), 20);
  assertEquals(await thrown(() => allOf(origin)), mine);
});

endTest(
  "http: a header that cannot be sent is an error without it",
  async () => {
    const headers = { "Authorization": "secret\r\nX: y" };
    const url = "http://127.0.0.1:1/";
    for (
      const work of [
        () => openOrigin(url, { headers }),
        () => openTarget(url, { headers, lengthBytes: 1 }),
      ]
    ) {
      const error = await failure("END_URL", work);
      assert(!error.message.includes("secret"));
    }
  },
);

endTest("http: headers are for the host they were given for", async () => {
  await using one = new Store();
  await using two = new Store();
  two.objects.set("/x", Uint8Array.of(1));
  await using server = answering(
    `HTTP/1.1 307 Go\r\nLocation: ${
      two.url("/x")
    }\r\nContent-Length: 0\r\n\r\n`,
  );
  const headers = { Authorization: "secret" };
  await receive(await openOrigin(server.url, { headers }));
  assertEquals(two.headers.get("authorization"), null);
  assertEquals(one.headers.get("authorization"), null);
});

endTest(
  "https: an image is put and got, and certificates are checked",
  async () => {
    await using ca = await Authority.create();
    await using other = await Authority.create();
    await using store = new Store(await ca.issue());
    const url = store.url("/vm.img");
    const tls = { caCerts: [ca.cert] };
    for (const options of LENGTHS) {
      await send(await openTarget(url, { ...options, tls }));
      assertSame(store.objects.get("/vm.img")!, IMAGE);
      store.objects.clear();
    }
    await send(await openTarget(url, { tls }));
    assertSame(await receive(await openOrigin(url, { tls })), IMAGE);
    for (
      const wrong of [
        { caCerts: [other.cert] },
        { ...tls, serverName: "vm.example" },
      ]
    ) {
      const options = { tls: wrong, lengthBytes: 1 };
      await failure("END_TLS", () => openOrigin(url, options));
      await failure("END_TLS", () => openTarget(url, options));
    }
  },
);
