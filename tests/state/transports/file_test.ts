import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  openOrigin,
  openTarget,
  streamTarget,
  targetStream,
} from "../../../mod.ts";
import { Scratch } from "../../support.ts";
import {
  assertSame,
  endTest,
  failure,
  IMAGE,
  receive,
  send,
  thrown,
  writePieces,
} from "./ends.ts";

const namesIn = (path: string) =>
  [...Deno.readDirSync(path)].map(({ name }) => name);

endTest("file: an image goes into a file and comes out of it", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("vm.img");
  await send(await openTarget(`file:${path}`, { durable: false }));
  assertSame(Deno.readFileSync(path), IMAGE);
  assertSame(await receive(await openOrigin(new URL(`file://${path}`))), IMAGE);
  assertEquals(namesIn(scratch.path), ["vm.img"]);
});

endTest(
  "file: without a commit the old file stays, and nothing else",
  async () => {
    await using scratch = new Scratch();
    const path = scratch.file("vm.img");
    Deno.writeTextFileSync(path, "old");
    {
      await using target = await openTarget(path);
      await writePieces(target, IMAGE);
      assertEquals(Deno.readTextFileSync(path), "old");
    }
    assertEquals(Deno.readTextFileSync(path), "old");
    assertEquals(namesIn(scratch.path), ["vm.img"]);
  },
);

endTest("file: an abort stops writing, the commit and reading", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("vm.img");
  const mine = new Error("enough");
  const controller = new AbortController();
  const { signal } = controller;
  await send(await openTarget(path));
  await using origin = await openOrigin(path, { signal });
  await using target = await openTarget(path, { signal });
  await target.write(Uint8Array.of(1));
  controller.abort(mine);
  assertEquals(await thrown(() => target.write(Uint8Array.of(2))), mine);
  assertEquals(await thrown(() => target.commit()), mine);
  assertEquals(await thrown(() => origin.readable.getReader().read()), mine);
  assertEquals(await thrown(() => openTarget(path, { signal })), mine);
  assertEquals(await thrown(() => openOrigin(path, { signal })), mine);
});

endTest("file: what cannot be opened is an error that names it", async () => {
  await using scratch = new Scratch();
  const absent = scratch.file("absent/vm.img");
  for (
    const work of [
      () => openOrigin(absent),
      () => openTarget(absent),
      () => openOrigin("/dev/zero"),
      () => openOrigin(scratch.path),
      () => openTarget("/dev/null"),
    ]
  ) {
    const error = await failure("END_IO", work);
    assertStringIncludes(error.message, error.end);
  }
});

endTest("streams: pipeTo copies an image from end to end", async () => {
  await using scratch = new Scratch();
  const [from, to] = [scratch.file("a"), scratch.file("b")];
  Deno.writeFileSync(from, IMAGE);
  await using origin = await openOrigin(from);
  await origin.readable.pipeTo(targetStream(await openTarget(to)));
  assertSame(Deno.readFileSync(to), IMAGE);
});

endTest("targetStream: aborting gives up", async () => {
  await using scratch = new Scratch();
  const path = scratch.file("vm.img");
  const writer = targetStream(await openTarget(path)).getWriter();
  await writer.write(IMAGE);
  await writer.abort(new Error("mine"));
  assertEquals(namesIn(scratch.path), []);
});

endTest("targetStream: a target that fails is given up", async () => {
  const mine = new Error("mine");
  for (const stage of ["write", "commit"]) {
    let disposals = 0;
    const fails = (at: string) => () =>
      at === stage ? Promise.reject(mine) : Promise.resolve();
    const writer = targetStream({
      name: "it",
      write: fails("write"),
      commit: fails("commit"),
      [Symbol.asyncDispose]: () => Promise.resolve(void disposals++),
    }).getWriter();
    writer.closed.catch(() => {});
    const error = await thrown(async () => {
      await writer.write(IMAGE);
      await writer.close();
    });
    assertEquals(error, mine);
    assertEquals(disposals, 1);
  }
});

endTest("streamTarget: a stream may keep the chunks it gets", async () => {
  const chunks: Uint8Array[] = [];
  let end = "";
  const writable = () =>
    new WritableStream<Uint8Array>({
      write: (chunk) => void chunks.push(chunk),
      close: () => void (end = "closed"),
      abort: () => void (end = "aborted"),
    });
  await send(streamTarget(writable()));
  assertSame(await new Blob(chunks as BlobPart[]).bytes(), IMAGE);
  assertEquals(end, "closed");
  {
    await using target = streamTarget(writable());
    await target.write(Uint8Array.of(1));
  }
  assertEquals(end, "aborted");
  const broken = streamTarget(
    new WritableStream({
      write: () => {
        throw new Error("mine");
      },
    }),
    "the script's stream",
  );
  const error = await failure("END_IO", () => broken.write(Uint8Array.of(1)));
  assert(error.message.includes("the script's stream: mine"));
});
