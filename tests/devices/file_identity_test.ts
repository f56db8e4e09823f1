import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { identityOf } from "../../src/devices/file_identity.ts";
import { close, O } from "../../src/devices/mod.ts";
import { ERRNO, libc } from "../../src/kvm/mod.ts";
import { Scratch } from "../support.ts";
import { holds } from "../vmm/property.ts";

function open(path: string, flags: number): number {
  const fd = libc.open(new TextEncoder().encode(`${path}\0`), flags);
  assert(fd >= 0);
  return fd;
}

function identity(path: string, flags: number = O.readOnly, digestOf?: number) {
  const fd = open(path, flags);
  const found = identityOf(fd, digestOf);
  close(fd);
  assert(typeof found !== "number");
  return found;
}

Deno.test("file_identity: a digest is SHA-256 of as much of the file as was asked for", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("a");
  const chosen = fc.record({
    content: fc.uint8Array({ maxLength: 3000 }),
    digestOf: fc.option(fc.nat(3500)),
  });
  holds("file_identity", 100, chosen, ({ content, digestOf }) => {
    Deno.writeFileSync(path, content);
    const { identity: found, isFolder } = identity(
      path,
      O.readOnly,
      digestOf ?? undefined,
    );
    assertEquals(isFolder, false);
    assertEquals(found.sizeBytes, content.length);
    const length = digestOf ?? content.length;
    // There is no digest of what is not there.
    const expected = length > content.length
      ? null
      : createHash("sha256").update(content.subarray(0, length)).digest("hex");
    assertEquals(found.digest?.toHex() ?? null, expected);
  });
});

Deno.test("file_identity: it tells files apart, and knows one again", async () => {
  await using scratch = new Scratch();
  Deno.writeTextFileSync(scratch.file("a"), "same");
  Deno.writeTextFileSync(scratch.file("b"), "same");
  Deno.linkSync(scratch.file("a"), scratch.file("c"));
  const [a, b, c] = ["a", "b", "c"].map((n) =>
    identity(scratch.file(n)).identity
  );
  assertEquals(a, c);
  assertEquals(a.digest, b.digest);
  assert(a.inode !== b.inode);
  const { dev, ino, mtime } = Deno.statSync(scratch.file("a"));
  assertEquals([a.device, a.inode], [`${dev}`, `${ino}`]);
  assertEquals(BigInt(a.modifiedNs) / 1_000_000n, BigInt(mtime!.getTime()));
});

Deno.test("file_identity: the program's offset stays, and its access mode does not matter", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("a");
  Deno.writeTextFileSync(path, "content");
  const expected = identity(path).identity.digest;
  assertEquals(identity(path, O.writeOnly).identity.digest, expected);
  using file = Deno.openSync(path);
  file.seekSync(3, Deno.SeekMode.Start);
  const fd = [...Deno.readDirSync("/proc/self/fd")].map(({ name }) =>
    Number(name)
  )
    .find((n) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${n}`) === path;
      } catch {
        return false;
      }
    })!;
  assert(typeof identityOf(fd) !== "number");
  assertEquals(file.seekSync(0, Deno.SeekMode.Current), 3);
});

Deno.test("file_identity: folders, files without a name and bad descriptors are told apart", async () => {
  await using scratch = new Scratch();
  const folder = identity(scratch.path, O.directory);
  assert(folder.isFolder);
  assertEquals([folder.identity.sizeBytes, folder.identity.digest], [0, null]);
  Deno.writeTextFileSync(scratch.file("a"), "x");
  const fd = open(scratch.file("a"), O.readOnly);
  Deno.removeSync(scratch.file("a"));
  const found = identityOf(fd);
  assert(
    typeof found !== "number" && found.identity.digest,
  );
  close(fd);
  assertEquals(identityOf(-1), -ERRNO.EBADF);
});

Deno.test("file_identity: what is too long to be read has no digest", async () => {
  await using scratch = new Scratch();
  Deno.writeTextFileSync(scratch.file("a"), "");
  Deno.truncateSync(scratch.file("a"), 2 ** 40);
  const { identity: found } = identity(scratch.file("a"));
  assertEquals([found.sizeBytes, found.digest], [2 ** 40, null]);
});
