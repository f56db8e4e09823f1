import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openOrigin, openTarget, parseEnd } from "../../../mod.ts";
import { failure } from "./ends.ts";

Deno.test("parseEnd: a path and a file: URL name the same file", () => {
  for (
    const [where, path] of [
      ["vm.img", "vm.img"],
      ["./a:b", "./a:b"],
      ["/tmp/a b.img", "/tmp/a b.img"],
      ["file:vm.img", "vm.img"],
      ["file:a?b#c", "a?b#c"],
      ["FILE:vm.img", "vm.img"],
      ["file:///tmp/a%20b.img", "/tmp/a b.img"],
      ["file://localhost/tmp/a", "/tmp/a"],
    ]
  ) {
    const end = parseEnd(where);
    assert(end.scheme === "file");
    assertEquals(end.path, path);
    assertEquals(end.name, JSON.stringify(path));
  }
});

Deno.test("parseEnd: a socket is an address or a path", () => {
  const at = (hostname: string, port: number) => ({ hostname, port });
  for (
    const [where, name, address] of [
      ["tcp://host:9000", "tcp://host:9000", at("host", 9000)],
      ["tls://10.0.0.1:1/", "tls://10.0.0.1:1", at("10.0.0.1", 1)],
      ["tcp://[::1]:80", "tcp://[::1]:80", at("::1", 80)],
      ["TCP://h:0", "tcp://h:0", at("h", 0)],
    ] as const
  ) {
    const { scheme, ...end } = parseEnd(where);
    assertEquals(scheme, name.slice(0, 3));
    assertEquals(end as unknown, { name, ...address });
  }
  for (
    const [where, path] of [
      ["unix:./s.sock", "./s.sock"],
      ["unix:///run/s.sock", "/run/s.sock"],
    ]
  ) {
    const end = parseEnd(where);
    assert(end.scheme === "unix");
    assertEquals(end.path, path);
  }
  assertEquals(parseEnd("-"), { scheme: "-", name: "-" });
});

Deno.test("parseEnd: a web URL keeps its query, and its name does not", () => {
  const end = parseEnd("https://store.example/b/vm.img?X-Signature=secret#x");
  assert(end.scheme === "https");
  assertEquals(end.url.search, "?X-Signature=secret");
  assertEquals(end.name, "https://store.example/b/vm.img?…");
});

Deno.test("ends: rubbish is an error that tells no secret", async () => {
  for (
    const where of [
      "",
      "file:",
      "file://host/x",
      "file:///a%00b",
      "file:///%zz",
      "unix:",
      "unix:///run/%00",
      `unix:${"x".repeat(200)}`,
      "tcp:",
      "tcp://",
      "tcp://host",
      "tcp://host:",
      "tcp://:9000",
      "tcp://host:65536",
      "tcp://host:-1",
      "tcp://host:1/path",
      "tcp://host:1?secret",
      "tcp://user:secret@host:1",
      "tcp://ho%00st:1",
      "tcp://[::1:1",
      "tls://host:x",
      "http://",
      "http://[bad?secret",
      "http://user:secret@host/x",
      "https:///?secret#secret",
      "http://ho st/?secret",
      "ftp://host/x?secret",
      "s3://secret:secret@bucket/x",
      "javascript:alert(1)",
      "C:\\vm.img",
      "x".repeat(100_000) + ":",
      "tcp://\u001b[31m:1",
    ]
  ) {
    for (const open of [openTarget, openOrigin]) {
      const error = await failure("END_URL", () => open(where));
      assert(error.message.length < 1000);
      assert(!error.message.includes("secret"), error.message);
      assert(!error.message.includes("\u001b"), error.message);
      assert(!error.hint?.includes("secret"));
      assertEquals(error.cause, undefined);
    }
  }
});

Deno.test("parseEnd: an unknown scheme is named, and so are those there are", async () => {
  const error = await failure("END_URL", () => parseEnd("ftp://host/x"));
  assertStringIncludes(error.message, "the scheme ftp is not known");
  for (const scheme of ["file", "tcp", "tls", "unix", "http", "https"]) {
    assertStringIncludes(error.message, scheme);
  }
});
