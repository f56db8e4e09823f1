import { assertEquals, assertThrows } from "@std/assert";
import { ERRNO, type Vm } from "../../mod.ts";
import http from "../../plugins/http.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, resources, Scratch, TestVm } from "../support.ts";
import { BareDevice, type BareFile } from "./bare_device.ts";

/** A server: what it was asked, and a handler that a test gives. */
class Server implements AsyncDisposable {
  /** `METHOD /path body` of each request. */
  readonly asked: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(answer: (path: string, request: Request) => Answer) {
    const options = { port: 0, hostname: "127.0.0.1", onListen() {} };
    this.#server = Deno.serve(options, async (request) => {
      const { pathname } = new URL(request.url);
      const body = await request.text();
      this.asked.push(`${request.method} ${pathname} ${body}`.trim());
      return await answer(pathname, request);
    });
  }

  /** Where it is, without a slash at the end. */
  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

type Answer = Response | Promise<Response>;

/** What a {@linkcode ConnectionServer} sends, by path; nothing for others. */
const RAW: Readonly<Record<string, string>> = {
  "/whole": "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
  "/begun": "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome",
  "/away": "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n" +
    "location: http://127.0.0.2:9/\r\n\r\n",
};

/** A server that leaves it to the other side to close a connection. */
class ConnectionServer implements AsyncDisposable {
  /** The connections on which there was a request, and that are open. */
  open = 0;
  readonly #listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  readonly #done: Promise<void>;

  constructor() {
    this.#done = this.#accept();
  }

  async #accept(): Promise<void> {
    const all: Promise<void>[] = [];
    for await (const connection of this.#listener) {
      all.push(this.#answer(connection));
    }
    await Promise.all(all);
  }

  async #answer(connection: Deno.Conn): Promise<void> {
    using _connection = connection;
    const buffer = new Uint8Array(4096);
    let request = "";
    while (!request.endsWith("\r\n\r\n")) {
      const got = await connection.read(buffer);
      if (got === null) return;
      request += new TextDecoder().decode(buffer.subarray(0, got));
    }
    this.open++;
    const path = request.split(" ")[1];
    await connection.write(new TextEncoder().encode(RAW[path] ?? ""));
    while (await connection.read(buffer).catch(() => null) !== null);
    this.open--;
  }

  /** Where it is, without a slash at the end. */
  get origin(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
  }
}

/** A response without headers that differ from run to run. */
function respond(
  body: BodyInit | null,
  status = 200,
  headers: HeadersInit = {},
): Response {
  return new Response(body, { status, headers });
}

/** A body of which a test sends piece by piece. */
function pieces(): {
  body: ReadableStream<Uint8Array>;
  send(text: string): void;
  end(): void;
} {
  const { readable, writable } = new TransformStream<Uint8Array>();
  const writer = writable.getWriter();
  return {
    body: readable,
    send: (text) =>
      void writer.write(new TextEncoder().encode(text)).catch(() => {}),
    end: () => void writer.close().catch(() => {}),
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(1);
}

/** First line and body of the response, or what was there of it. */
async function responseOf(file: BareFile): Promise<string> {
  const all = await file.readAll();
  const [head, ...body] = all.split("\n\n");
  return [head.split("\n")[0], ...body].join("|");
}

/** Makes a request; the response as {@linkcode responseOf}, or the errno. */
async function ask(file: BareFile, request: string): Promise<string> {
  const errno = await file.write(request);
  return errno === 0 ? await responseOf(file) : `(${errno})`;
}

Deno.test("http: request and response are passed on, with headers and body", async () => {
  await using server = new Server((path, request) =>
    respond(
      `${path} ${request.headers.get("x-mine")} ${request.headers.get("host")}`,
      path === "/api/none" ? 404 : 200,
      { "x-its": "yes" },
    )
  );
  await using device = new BareDevice(http({ allow: `${server.origin}/api` }));
  const file = device.open();
  const { host } = new URL(server.origin);
  assertEquals(
    await ask(file, `GET ${server.origin}/api/a?b=c\nX-Mine: 1\n\n`),
    `HTTP 200 OK|/api/a 1 ${host}`,
  );
  assertEquals(
    await ask(file, `GET ${server.origin}/api/none\n`),
    `HTTP 404 Not Found|/api/none null ${host}`,
  );
  assertEquals(await file.write(`POST ${server.origin}/api\n\na\n\nb`), 0);
  const all = await file.readAll();
  assertEquals(/\nx-its: yes\n(.*\n)*\n\/api null/.test(all), true, all);
  assertEquals(server.asked, [
    "GET /api/a",
    "GET /api/none",
    "POST /api a\n\nb",
  ]);
  assertEquals(await file.read(), "");
});

Deno.test("http: what is not allowed gives EACCES, and nothing is sent", async () => {
  await using server = new Server(() => respond("secret"));
  const { origin } = server;
  await using device = new BareDevice(
    http({ allow: `${origin}/api/v1/,${origin}/one` }),
  );
  const file = device.open();
  const { port } = new URL(origin);
  for (
    const url of [
      `${origin}/`,
      `${origin}/api`,
      `${origin}/api/v1`,
      `${origin}/api/v10`,
      `${origin}/api/v1/../v2`,
      `${origin}/api/v1/%2e%2E/v2`,
      `${origin}/api/v1/..%2fv2`,
      `${origin}/api/v1/..%5cv2`,
      `${origin}/api/v1\\..\\v2`,
      `${origin}/api/v1/%252e%252e/v2`,
      `${origin}/onetwo`,
      `${origin}/ONE`,
      `${origin}/one%2f..%2fx`,
      `http://localhost:${port}/api/v1/x`,
      `http://127.0.0.1:1/api/v1/x`,
      `http://127.0.0.1/api/v1/x`,
      `https://127.0.0.1:${port}/api/v1/x`,
      `http://127.0.0.1:${port}@example.com/api/v1/x`,
      `http://me:pw@127.0.0.1:${port}/api/v1/x`,
      `http://127.0.0.1.example.com:${port}/api/v1/x`,
      `blob:${origin}/api/v1/x`,
      `file:///etc/passwd`,
      `data:text/plain,hello`,
    ]
  ) assertEquals(await ask(file, `GET ${url}\n`), `(${-ERRNO.EACCES})`, url);
  assertEquals(server.asked, []);
  for (
    const path of ["/api/v1/", "/api/v1/x", "/api/v2/../v1/x", "/one", "/one/x"]
  ) {
    assertEquals(
      await ask(file, `GET ${origin}${path}\n`),
      "HTTP 200 OK|secret",
    );
  }
});

Deno.test("http: what is no request is refused", async () => {
  await using device = new BareDevice(http({ allow: "http://127.0.0.1:9" }));
  const file = device.open();
  const url = "http://127.0.0.1:9/";
  const requests: [string, number][] = [
    ["", ERRNO.EINVAL],
    ["\n\n", ERRNO.EINVAL],
    [`GET ${url}`, ERRNO.EINVAL],
    [`PUT ${url}\n`, ERRNO.EINVAL],
    [`get ${url}\n`, ERRNO.EINVAL],
    [`GET  ${url}\n`, ERRNO.EINVAL],
    [`GET ${url} HTTP/1.1\n`, ERRNO.EINVAL],
    [`GET ${url}\r\n`, ERRNO.EINVAL],
    ["GET /path\n", ERRNO.EINVAL],
    [`GET ${url}\n\nbody`, ERRNO.EINVAL],
    [`GET ${url}\nno header\n`, ERRNO.EINVAL],
    [`GET ${url}\na b: c\n`, ERRNO.EINVAL],
    [`GET ${url}\na: b\rc: d\n`, ERRNO.EINVAL],
    [`GET ${url}\n${"a: b\n".repeat(65)}`, ERRNO.EINVAL],
    [`POST ${url}\n\n${"x".repeat(65536)}`, ERRNO.E2BIG],
  ];
  for (
    const name of [
      "Host",
      "content-length",
      "Transfer-Encoding",
      "connection",
      "Proxy-Authorization",
      "Sec-Fetch-Site",
    ]
  ) requests.push([`GET ${url}\n${name}: x\n`, ERRNO.EINVAL]);
  for (const [request, errno] of requests) {
    assertEquals(await file.write(request), -errno, request.slice(0, 80));
  }
  assertEquals(await file.read(), "");
});

Deno.test("http: an allowed place that is not in its plain form is refused", () => {
  for (
    const allow of [
      "example.com",
      "ftp://example.com/",
      "http://Example.com/",
      "http://example.com:80/",
      "http://me@example.com/",
      "http://example.com/?a",
      "http://example.com/#a",
      "http://example.com/a/../b",
      "http://example.com/,*",
      "http://",
      "file:///",
    ]
  ) {
    assertThrows(
      () => new BareDevice(http({ allow })),
      Error,
      "it allows",
      allow,
    );
  }
  assertThrows(() => new BareDevice(http()), Error, '"allow" is missing');
});

Deno.test("http: redirects are followed where that is allowed, and nowhere else", async () => {
  await using other = new Server((_path, request) =>
    respond(`${request.method} ${request.headers.get("cookie")}`)
  );
  await using server = new Server((path, request) => {
    const { pathname } = new URL(request.url);
    if (path.startsWith("/to/")) {
      const [, , status, ...to] = pathname.split("/");
      const location = to.join("/") === "other"
        ? `${other.origin}/in`
        : to.join("/") === "outside"
        ? `${other.origin}/out`
        : to.join("/") === "file"
        ? "file:///etc/passwd"
        : "/" + to.join("/");
      return respond("moved", Number(status), { location });
    }
    return respond(`${request.method} ${path}`);
  });
  await using device = new BareDevice(
    http({ allow: `${server.origin},${other.origin}/in` }),
  );
  const file = device.open();
  const from = `${server.origin}/to`;
  for (
    const [request, response] of [
      [`GET ${from}/302/a`, "HTTP 200 OK|GET /a"],
      [`POST ${from}/302/a`, "HTTP 200 OK|GET /a"],
      [`POST ${from}/303/to/307/a`, "HTTP 200 OK|GET /a"],
      [`POST ${from}/307/a`, "HTTP 200 OK|POST /a"],
      [`GET ${from}/308/to/301/a`, "HTTP 200 OK|GET /a"],
      [`GET ${from}/302/other\ncookie: c`, "HTTP 200 OK|GET null"],
      [`GET ${from}/302/outside`, `(${-ERRNO.EACCES})`],
      [`GET ${from}/302/to/302/outside`, `(${-ERRNO.EACCES})`],
      [`GET ${from}/302/file`, `(${-ERRNO.EACCES})`],
      [`GET ${from}/302${"/to/302".repeat(5)}/a`, `(${-ERRNO.ELOOP})`],
      [`GET ${from}/302${"/to/302".repeat(4)}/a`, "HTTP 200 OK|GET /a"],
    ]
  ) assertEquals(await ask(file, `${request}\n\n`), response, request);
  assertEquals(other.asked, ["GET /in"]);
});

Deno.test("http: a server that is down, silent or endless is an errno", async () => {
  const { promise: never, resolve: answer } = Promise.withResolvers<Response>();
  const parts = pieces();
  await using server = new Server((path) =>
    path === "/silent"
      ? never
      : path === "/halting"
      ? respond(parts.body)
      : respond("x".repeat(2000))
  );
  const gone = new Server(() => respond(""));
  const down = gone.origin;
  await gone[Symbol.asyncDispose]();
  const allow = `${server.origin},${down}`;
  {
    await using device = new BareDevice(
      http({ allow, timeout: 200, "max-response": 1000 }),
    );
    const file = device.open();
    assertEquals(await ask(file, `GET ${down}/\n`), `(${-ERRNO.EIO})`);
    assertEquals(
      await ask(file, `GET ${server.origin}/silent\n`),
      `(${-ERRNO.ETIMEDOUT})`,
    );
    parts.send("some");
    assertEquals(
      await ask(file, `GET ${server.origin}/halting\n`),
      `HTTP 200 OK|some(${-ERRNO.ETIMEDOUT})`,
    );
    assertEquals(
      (await ask(file, `GET ${server.origin}/long\n`)).endsWith(
        `(${-ERRNO.EFBIG})`,
      ),
      true,
    );
  }
  answer(respond(""));
  parts.end();
});

Deno.test("http: a program that reads slowly has the server wait, not the memory filled", async () => {
  let sent = 0;
  const body = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent >= 64 * 1024 ** 2) return controller.close();
        controller.enqueue(new Uint8Array(65536));
        sent += 65536;
      },
    });
  await using server = new Server(() => respond(body()));
  {
    await using device = new BareDevice(
      http({ allow: server.origin, "max-response": 2 ** 30 }),
    );
    const file = device.open();
    await file.write(`GET ${server.origin}/\n`);
    await file.read(1);
    for (let before = -1; before < sent; await delay(100)) before = sent;
    const kept = file.handle.dump!() as { exchange: { received: Uint8Array } };
    assertEquals(kept.exchange.received.length < 300_000, true);
    assertEquals(sent < 64 * 1024 ** 2, true);
  }
});

Deno.test("http: more requests than are allowed wait for one another", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using server = new Server(async (path) => {
    await promise;
    return respond(path);
  });
  await using device = new BareDevice(
    http({ allow: server.origin, "max-requests": 2 }),
  );
  const files = [0, 1, 2, 3].map(() => device.open());
  const responses = files.map((file, i) =>
    ask(file, `GET ${server.origin}/${i}\n`)
  );
  await until(() => server.asked.length === 2);
  assertEquals(files[3].handle.poll!(5), 0);
  assertEquals(await files[0].write(`GET ${server.origin}/\n`), -ERRNO.EBUSY);
  await delay(20);
  assertEquals(server.asked.length, 2);
  resolve();
  assertEquals(
    await Promise.all(responses),
    [0, 1, 2, 3].map((i) => `HTTP 200 OK|/${i}`),
  );
  for (let i = 4; i < 16; i++) device.open();
  assertThrows(() => device.open(), Error, `errno ${ERRNO.EMFILE}`);
});

Deno.test("http: after a restore only a GET of which nothing was read is made again", async () => {
  const parts: ReturnType<typeof pieces>[] = [];
  await using server = new Server(() => {
    parts.push(pieces());
    return respond(parts.at(-1)!.body);
  });
  const { origin } = server;
  const device = () => new BareDevice(http({ allow: origin }));
  const dump = (file: BareFile) => structuredClone(file.handle.dump!());
  const readOf = async (file: BareFile, text: string) => {
    let all = "";
    while (!all.endsWith(text)) all += await file.read();
  };
  for (
    const [request, isRead, isWhole, response] of [
      ["GET", false, false, "HTTP 200 OK|again"],
      ["GET", true, false, `later(${-ERRNO.EIO})`],
      ["GET", false, true, "HTTP 200 OK|firstlater"],
      ["GET", true, true, "later"],
      ["POST", false, false, `HTTP 200 OK|firstlater(${-ERRNO.EIO})`],
      ["POST", true, false, `later(${-ERRNO.EIO})`],
      ["POST", true, true, "later"],
    ] as const
  ) {
    const what = `${request} ${isRead} ${isWhole}`;
    const before = server.asked.length;
    await using first = device();
    const file = first.open();
    await file.write(`${request} ${origin}/\n`);
    await until(() => parts.length === before + 1);
    const part = parts[before];
    part.send("first");
    if (isRead) await readOf(file, "first");
    part.send("later");
    const received = () => {
      const { exchange } = dump(file) as {
        exchange: { received: Uint8Array; end: number | null };
      };
      const text = new TextDecoder().decode(exchange.received);
      return text.endsWith("later") && (exchange.end !== null) === isWhole;
    };
    if (isWhole) part.end();
    await until(received);

    await using second = device();
    const again = second.open(dump(file));
    const isAgain = request === "GET" && !isRead && !isWhole;
    const got = responseOf(again);
    if (isAgain) {
      await until(() => parts.length === before + 2);
      parts[before + 1].send("again");
      parts[before + 1].end();
    }
    assertEquals(await got, response, what);
    assertEquals(server.asked.length, before + (isAgain ? 2 : 1), what);
    // The one that was saved goes on with its connection.
    part.end();
    assertEquals((await file.readAll()).endsWith("later"), true);
  }
});

Deno.test("http: a request that was saved goes nowhere that is not allowed now", async () => {
  const { promise, resolve } = Promise.withResolvers<Response>();
  await using server = new Server(() => promise);
  await using first = new BareDevice(http({ allow: server.origin }));
  const file = first.open();
  await file.write(`GET ${server.origin}/\n`);
  await until(() => server.asked.length === 1);
  const saved = structuredClone(file.handle.dump!()) as {
    exchange: Record<string, unknown> & { request: Record<string, unknown> };
  };
  await using second = new BareDevice(http({ allow: `${server.origin}/sub/` }));
  assertEquals(await responseOf(second.open(saved)), `(${-ERRNO.EACCES})`);
  for (
    const change of [
      { request: null },
      { received: "x" },
      { received: new Uint8Array(2 ** 21) },
      { isRead: 1 },
      { end: -1 },
      { end: 4096 },
      { request: { ...saved.exchange.request, method: "PUT" } },
      { request: { ...saved.exchange.request, url: "x" } },
      { request: { ...saved.exchange.request, url: 1 } },
      { request: { ...saved.exchange.request, body: new Uint8Array(1) } },
      { request: { ...saved.exchange.request, headers: [["host", "x"]] } },
      { request: { ...saved.exchange.request, headers: [["a b", "x"]] } },
      { request: { ...saved.exchange.request, headers: [1] } },
      { request: { ...saved.exchange.request, headers: "ab" } },
    ]
  ) {
    const damaged = { exchange: { ...saved.exchange, ...change } };
    assertThrows(() => second.open(damaged), TypeError, "no good");
  }
  assertEquals(server.asked.length, 1);
  resolve(respond(""));
  await file.readAll();
});

Deno.test("http: what is closed or gone leaves no connection", async () => {
  await using server = new ConnectionServer();
  const before = resources().fds;
  for (const how of ["close", "dispose"]) {
    await using device = new BareDevice(http({ allow: server.origin }));
    const files = [device.open(), device.open(), device.open()];
    await files[0].write(`GET ${server.origin}/silent\n`);
    await files[1].write(`GET ${server.origin}/begun\n`);
    await files[1].read(5);
    await until(() => server.open === 2);
    assertEquals(
      await ask(files[2], `GET ${server.origin}/whole\n`),
      "HTTP 200 OK|x",
    );
    await until(() => server.open === 2);
    if (how === "close") { for (const file of files) file.close(); }
    else await device[Symbol.asyncDispose]();
    await until(() => server.open === 0);
    await until(() => resources().fds <= before);
  }
});

kvmTest(
  "http: a response that comes slowly is finished after a restore",
  async () => {
    await using scratch = new Scratch();
    const bodies: ReturnType<typeof pieces>[] = [];
    await using server = new Server((path) => {
      if (path === "/quick") return respond("quick");
      bodies.push(pieces());
      return respond(bodies.at(-1)!.body);
    });
    const { origin } = server;
    const image = scratch.file("vm.img");
    const [program] = await guest("http");
    const start = async (steps: string) => {
      const devices = [http({ allow: origin })];
      const args = steps.split(" ");
      const onSave = async (vm: Vm) => {
        await vm.save(image);
        return "stop" as const;
      };
      const test = await TestVm.create({ program, args, devices, onSave });
      return Object.assign(test, { ended: test.run() });
    };
    const save = async (test: TestVm & { ended: Promise<unknown> }) => {
      await test.vm.save(image, { stop: true });
      assertEquals(await test.ended, { kind: "saved" });
    };
    const restore = async (before: TestVm) => {
      const options = { devices: [http({ allow: origin })] };
      const test = await TestVm.restore(image, options, before);
      return Object.assign(test, { ended: test.run() });
    };
    const finish = (body: ReturnType<typeof pieces>) => {
      body.send("slow ");
      body.send("b".repeat(3000));
      body.end();
    };

    // Nothing is read: the GET is made again, and gives what it always gave.
    const steps = `get ${origin}/quick get ${origin}/slow get ${origin}/quick`;
    await using unbroken = await start(steps);
    await until(() => bodies.length === 1);
    finish(bodies[0]);
    assertEquals(await unbroken.ended, { kind: "exited", code: 0 });
    assertEquals(unbroken.output.stdout.split("\n").slice(0, 3), [
      "HTTP 200 OK",
      "quick",
      "HTTP 200 OK",
    ]);
    await using first = await start(steps);
    await until(() => bodies.length === 2);
    await save(first);
    await first[Symbol.asyncDispose]();
    for (let i = 0; i < 2; i++) {
      await using second = await restore(first);
      await until(() => bodies.length === 3 + i);
      finish(bodies[2 + i]);
      assertEquals(await second.ended, { kind: "exited", code: 0 });
      assertEquals(second.output.stdout, unbroken.output.stdout);
      assertEquals(second.warnings, []);
    }

    // Some of it is read, or it is a POST: it is not made again.
    const asked = server.asked.length;
    for (
      const [send, lines] of [
        [`send-get ${origin}/slow until begun`, ["HTTP 200 OK", "begun"]],
        [`send-post ${origin}/slow text`, []],
      ]
    ) {
      const count = bodies.length;
      await using third = await start(`${send} save rest get ${origin}/quick`);
      await until(() => bodies.length === count + 1);
      bodies[count].send("begun");
      assertEquals(await third.ended, { kind: "saved" });
      await using fourth = await restore(third);
      assertEquals(await fourth.ended, { kind: "exited", code: 0 });
      const shown = fourth.output.stdout.split("\n");
      assertEquals(shown.slice(0, 2), ["save: 1", "read: EIO"]);
      // Of the POST the image may hold some, too.
      assertEquals(shown.slice(2, 2 + lines.length), lines);
      assertEquals(shown.slice(-3), ["HTTP 200 OK", "quick", ""]);
    }
    assertEquals(
      server.asked.slice(asked),
      ["GET /slow", "GET /quick", "POST /slow text", "GET /quick"],
    );
    for (const body of bodies) body.end();
  },
);

kvmTest(
  "http: a program sees what is not allowed, and a VM that is killed leaves no connection",
  async () => {
    await using server = new ConnectionServer();
    const { origin } = server;
    const gone = new ConnectionServer();
    const down = gone.origin;
    await gone[Symbol.asyncDispose]();
    const [program] = await guest("http");
    const args = (`get http://127.0.0.2:9/ get ${origin}/away get ${down}/ ` +
      `get ${origin}/silent`).split(" ");
    const before = resources().fds;
    for (const how of ["kill", "dispose"]) {
      await using test = await TestVm.create({
        program,
        args,
        devices: [http({ allow: `${origin},${down}` })],
      });
      const ended = test.run();
      await test.until("read: EIO\nno response\n");
      await until(() => server.open === 1);
      assertEquals(
        test.output.stdout,
        "get: EACCES\nread: EACCES\nno response\nread: EIO\nno response\n",
      );
      if (how === "kill") await test.vm.kill();
      else await test[Symbol.asyncDispose]();
      await ended;
      await until(() => server.open === 0);
      assertEquals(test.warnings, []);
    }
    await until(() => resources().fds <= before);
  },
);
