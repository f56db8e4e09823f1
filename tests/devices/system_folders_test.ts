import { assertEquals } from "@std/assert";
import { RootFolder, systemFolders } from "../../src/devices/mod.ts";
import { resources, Scratch } from "../support.ts";

Deno.test("system_folders: of a root, what belongs to programs and is there, and no password", async () => {
  await using scratch = new Scratch();
  for (
    const path of [
      "bin/ls",
      "etc/ImageMagick-6/policy.xml",
      "etc/fonts/fonts.conf",
      "etc/java-17-openjdk/jvm-amd64.cfg",
      "etc/java-17-openjdk/management/jmxremote.password",
      "etc/java-17-openjdk/security/java.security",
      "etc/java-own/jvm-amd64.cfg",
      "etc/passwd",
      "etc/python3.11/sitecustomize.py",
      "etc/shadow",
      "etc/ssl/certs/one.pem",
      "etc/ssl/private/one.key",
      "home/file",
      "usr/lib/file",
      "var/lib/ghostscript/fonts/Fontmap",
      "var/lib/private/file",
    ]
  ) {
    const file = scratch.file(path);
    Deno.mkdirSync(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(file, "");
  }
  const before = resources().fds;
  const root = new RootFolder(scratch.path);
  assertEquals(systemFolders(root).sort(), [
    "/bin",
    "/etc/ImageMagick-6",
    "/etc/fonts",
    "/etc/java-17-openjdk/jvm-amd64.cfg",
    "/etc/java-17-openjdk/security",
    "/etc/passwd",
    "/etc/python3.11/sitecustomize.py",
    "/etc/ssl/certs",
    "/usr/lib",
    "/var/lib/ghostscript",
  ]);
  root[Symbol.dispose]();
  assertEquals(resources().fds, before);
});

Deno.test("system_folders: a root without any has none", async () => {
  await using scratch = new Scratch();
  using root = new RootFolder(scratch.path);
  assertEquals(systemFolders(root), []);
});
