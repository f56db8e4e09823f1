/**
 * A receiver and peers that keep to nothing: whatever they send is an error
 * that says what is wrong, nothing is left open, and the next can connect.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  listenForVms,
  MigrationError,
  type Phase,
  type ReceiveOptions,
} from "../../mod.ts";
import {
  FRAME,
  MAX_DATA_BYTES,
  MAX_PAYLOAD_BYTES,
} from "../../src/migration/frames.ts";
import {
  ARCHITECTURE,
  decodePayload,
  FORMAT_VERSION,
} from "../../src/state/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { Scratch, seeded } from "../support.ts";
import { dial, type RawFrame, RawPeer } from "./raw_peer.ts";
import { tidily } from "./tidy.ts";
import { waiting } from "./two_sides.ts";

const NONCE = new Uint8Array(16).fill(7);
const HELLO = { lowest: 1, highest: 1, creator: "a peer", nonce: NONCE };

/** An offer of nothing, which fits everywhere. */
function offerTo(nonce: unknown, more: Record<string, unknown> = {}) {
  return {
    nonce,
    isQuestion: false,
    formatVersion: FORMAT_VERSION,
    architecture: ARCHITECTURE,
    components: [],
    state: [],
    ...more,
  };
}

/** How far a peer goes before it does something else. */
const STATES = ["hello", "preflight", "transfer"] as const;

/** Comes as far as `state`; gives the destination's nonce, if it is known. */
async function reach(
  peer: RawPeer,
  state: typeof STATES[number],
): Promise<Uint8Array | undefined> {
  if (state === "hello") return undefined;
  await peer.send(FRAME.hello, HELLO);
  const { nonce } = await peer.value(FRAME.hello);
  if (state === "transfer") {
    await peer.send(FRAME.offer, offerTo(nonce));
    assertEquals(await peer.value(FRAME.answer), { nonce: NONCE, reasons: [] });
  }
  return nonce as Uint8Array;
}

/** What a receiver makes of a peer, and the last that the peer hears. */
async function against(
  act: (peer: RawPeer) => Promise<void>,
  options: ReceiveOptions = {},
): Promise<{ result: unknown; told: string | undefined; phase: Phase }> {
  let phase: Phase = "hello";
  await using receiver = await listenForVms("tcp://127.0.0.1:0");
  const received = receiver.receive({
    ...options,
    onPhase: (next) => phase = next,
  }).catch((error) => error);
  using peer = new RawPeer(await dial(receiver.name));
  await act(peer);
  await peer.end();
  let told: string | undefined;
  for (;;) {
    const last = await peer.receive();
    if (last === undefined) break;
    if (last.type !== FRAME.failed) continue;
    told = (decodePayload(last.payload) as { reason: string }).reason;
  }
  return { result: await received, told, phase };
}

function assertFailed(
  result: unknown,
  code: MigrationError["code"],
  message: RegExp,
): asserts result is MigrationError {
  if (!(result instanceof MigrationError)) throw result;
  assertEquals(result.code, code, result.message);
  assertMatch(result.message, message);
}

Deno.test("receive: headers that are wrong are named, and told to the peer", async () => {
  await tidily(async () => {
    for (const state of STATES) {
      for (
        const [twist, message] of [
          [{ magic: 0x504d4d53 }, /it does not speak this protocol$/],
          [{ type: 0 }, /it sent a frame of kind 0$/],
          [{ type: 11 }, /it sent a frame of kind 11$/],
          [{ type: FRAME.hello | 0x100 }, /it sent a frame of kind 257$/],
          [{ sequence: 9 }, /it sent frame 9, expected frame [012]$/],
          [{ sequence: 0xffff_ffff }, /it sent frame 4294967295, expected/],
          [{ lengthBytes: 0xffff_ffff }, /4294967295 bytes, must be <= /],
          [
            { lengthBytes: MAX_PAYLOAD_BYTES[FRAME.hello] + 1 },
            /it sent hello of 4097 bytes, must be <= 4096$/,
          ],
        ] as const
      ) {
        const { result, told, phase } = await against(async (peer) => {
          await reach(peer, state);
          await peer.send(FRAME.hello, HELLO, twist);
        });
        assertFailed(result, "MIGRATION_PROTOCOL", message);
        assertEquals([result.phase, phase], [state, state]);
        assertEquals(told, result.message);
      }
    }
  });
});

Deno.test("receive: a frame whose turn it is not is refused in every state", async () => {
  const expected = {
    hello: [FRAME.hello],
    preflight: [FRAME.offer],
    transfer: [FRAME.data, FRAME.end],
  };
  await tidily(async () => {
    for (const state of STATES) {
      const wanted: readonly number[] = expected[state];
      for (const [name, type] of Object.entries(FRAME)) {
        if (wanted.includes(type)) continue;
        const { result } = await against(async (peer) => {
          await reach(peer, state);
          await peer.send(type, { reason: "I am\x1b[2J tired" });
        });
        if (type === FRAME.failed) {
          assertFailed(result, "MIGRATION_FAILED", /failed: I am/);
          assert(!result.message.includes("\x1b"), result.message);
        } else if (type === FRAME.alive) {
          assertFailed(result, "MIGRATION_DROPPED", /ended the connection$/);
        } else {
          assertFailed(
            result,
            "MIGRATION_PROTOCOL",
            new RegExp(`it sent ${name}, expected `),
          );
        }
        assertEquals(result.phase, state);
      }
    }
  });
});

Deno.test("receive: what a frame says is checked, field by field", async () => {
  const hello: Record<string, unknown>[] = [
    {},
    { ...HELLO, nonce: new Uint8Array(15) },
    { ...HELLO, nonce: new Uint8Array(17) },
    { ...HELLO, nonce: "0123456789abcdef" },
    { ...HELLO, lowest: 0 },
    { ...HELLO, highest: -1 },
    { ...HELLO, highest: 1.5 },
    { ...HELLO, creator: "x".repeat(65) },
    { ...HELLO, creator: null },
  ];
  const part = { kind: "a", id: "a", version: 1 };
  const offer: Record<string, unknown>[] = [
    { nonce: undefined },
    { isQuestion: 1 },
    { formatVersion: 0 },
    { architecture: "x".repeat(65) },
    { components: Array(4097).fill(part) },
    { components: [{ ...part, version: -1 }] },
    { components: {} },
    { state: [part] },
    { state: [{ ...part, part: 0, payload: "" }] },
  ];
  await tidily(async () => {
    for (const value of hello) {
      const { result } = await against((peer) => peer.send(FRAME.hello, value));
      assertFailed(result, "MIGRATION_PROTOCOL", /says is out of shape$/);
    }
    for (const more of offer) {
      const { result } = await against(async (peer) => {
        const nonce = await reach(peer, "preflight");
        await peer.send(FRAME.offer, offerTo(nonce, more));
      });
      assertFailed(result, "MIGRATION_PROTOCOL", /says is out of shape$/);
    }
    for (
      const value of [
        new Uint8Array(),
        Uint8Array.of(0xff),
        Uint8Array.of(0xa1),
        new Uint8Array(64).fill(0x81),
      ]
    ) {
      const { result } = await against((peer) => peer.send(FRAME.hello, value));
      assertFailed(result, "MIGRATION_PROTOCOL", /says is out of shape$/);
    }
  });
});

Deno.test("receive: versions without one in common are named on both sides", async () => {
  for (const [lowest, highest] of [[2, 9], [5, 2]]) {
    const { result } = await against(async (peer) => {
      await peer.send(FRAME.hello, { ...HELLO, lowest, highest });
      const { lowest: low, highest: high } = await peer.value(FRAME.hello);
      assertEquals([low, high], [1, 1]);
    });
    assertFailed(
      result,
      "MIGRATION_VERSION",
      new RegExp(`speaks versions ${lowest} to ${highest} of the protocol`),
    );
    assert(result.hint !== undefined);
  }
  const { result } = await against(async (peer) => {
    await peer.send(FRAME.hello, { ...HELLO, highest: 9, more: ["later"] });
    await peer.value(FRAME.hello);
  });
  assertFailed(result, "MIGRATION_DROPPED", /in phase preflight/);
});

Deno.test("receive: a connection that ends inside any frame leaves nothing", async () => {
  await tidily(async () => {
    for (const state of STATES) {
      for (const kept of [0, 1, 15, 16, 17]) {
        const { result } = await against(async (peer) => {
          const nonce = await reach(peer, state);
          const [type, value] = state === "hello"
            ? [FRAME.hello, HELLO]
            : state === "preflight"
            ? [FRAME.offer, offerTo(nonce)]
            : [FRAME.data, new Uint8Array(100)];
          const other = new Recorder();
          await other.send(type, value, { sequence: STATES.indexOf(state) });
          await peer.bytes(other.recorded[0].slice(0, kept));
        });
        assertFailed(result, "MIGRATION_DROPPED", /it ended the connection$/);
        assertEquals(result.phase, state);
      }
    }
  });
});

/** A peer that only records what it would send. */
class Recorder extends RawPeer {
  constructor() {
    super({
      write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
    } as Deno.Conn);
  }
}

Deno.test("receive: a peer that stands still is left after timeoutMs, in any state", async () => {
  await tidily(async () => {
    for (const state of STATES) {
      await using receiver = await listenForVms("tcp://127.0.0.1:0");
      const received = receiver.receive({ timeoutMs: 1500 })
        .catch((error) => error);
      using peer = new RawPeer(await dial(receiver.name));
      await reach(peer, state);
      const result = await received;
      assertFailed(result, "MIGRATION_DROPPED", /nothing came of it for 1.5 s/);
      assertEquals(result.phase, state);
    }
  });
});

Deno.test("receive: a signal ends it in any state, with its reason", async () => {
  await tidily(async () => {
    for (const state of STATES) {
      const giveUp = new AbortController();
      await using receiver = await listenForVms("tcp://127.0.0.1:0");
      const received = receiver.receive({ signal: giveUp.signal })
        .catch((error) => error);
      using peer = new RawPeer(await dial(receiver.name));
      await reach(peer, state);
      const reason = new Error("no more time");
      giveUp.abort(reason);
      assertEquals(await received, reason);
      assertEquals(await peer.receive(), undefined);
    }
  });
});

Deno.test("receive: a recorded session is no use a second time", async () => {
  let recorded: Uint8Array<ArrayBuffer>[] = [];
  const first = await against(async (peer) => {
    await reach(peer, "transfer");
    await peer.send(FRAME.data, new Uint8Array(100));
    recorded = peer.recorded;
  });
  assertEquals(first.phase, "transfer");
  const second = await against(async (peer) => {
    for (const bytes of recorded) await peer.bytes(bytes);
  });
  assertFailed(
    second.result,
    "MIGRATION_PROTOCOL",
    /its offer belongs to another session$/,
  );
});

Deno.test("receive: an image that is none, or shorter than was said, gives no VM", async () => {
  await tidily(async () => {
    const digest = "0".repeat(64);
    for (
      const [totalBytes, message] of [
        [100, /Cannot read the image: it is not/],
        [99, /it sent 100 of 99 bytes of the image$/],
        [101, /it sent 100 of 101 bytes of the image$/],
      ] as const
    ) {
      const { result, told } = await against(async (peer) => {
        await reach(peer, "transfer");
        // Frames without bytes are passed over.
        for (const size of [0, 60, 0, 40, 0]) {
          await peer.send(FRAME.data, new Uint8Array(size));
          await peer.send(FRAME.alive);
        }
        await peer.send(FRAME.end, { totalBytes, digest });
      });
      assert(result instanceof Error);
      assertMatch(result.message, message);
      assertEquals(told, result.message);
    }
  });
});

kvmTest(
  "receive: an image whose digest is not what the source says gives no VM",
  async () => {
    await using scratch = new Scratch();
    const path = scratch.file("vm.img");
    let offer: Record<string, unknown> = {};
    let right = "";
    {
      await using test = await waiting(scratch);
      offer = { ...await test.vm.freeze((frozen) => frozen.offer()) };
      right = (await test.vm.save(path, { stop: true })).digest;
    }
    const image = Deno.readFileSync(path);
    await tidily(async () => {
      // The right one last: it is what is said that was wrong.
      for (const digest of ["0".repeat(64), right.toUpperCase(), right]) {
        let last: RawFrame | undefined;
        const { result, phase } = await against(async (peer) => {
          const nonce = await reach(peer, "preflight");
          await peer.send(FRAME.offer, offerTo(nonce, offer));
          assertEquals((await peer.value(FRAME.answer)).reasons, []);
          for (let done = 0; done < image.length; done += MAX_DATA_BYTES) {
            const piece = image.subarray(done, done + MAX_DATA_BYTES);
            await peer.send(FRAME.data, piece);
          }
          const totalBytes = image.length;
          await peer.send(FRAME.end, { totalBytes, digest });
          last = await peer.receive();
        });
        if (digest === right) {
          assertEquals(last?.type, FRAME.prepared);
          assertFailed(result, "MIGRATION_DROPPED", /was lost/);
          assertEquals(phase, "commit");
        } else {
          assertEquals(last?.type, FRAME.failed);
          assertFailed(
            result,
            "MIGRATION_PROTOCOL",
            /it sent an image with digest [0-9a-f]{64}, and says that it is /,
          );
          assertEquals(phase, "transfer");
        }
      }
    });
  },
);

Deno.test("receive: random bytes in any state are refused, and hold nothing", async () => {
  const random = seeded("receive");
  await tidily(async () => {
    for (let round = 0; round < 60; round++) {
      const state = STATES[round % STATES.length];
      const bytes = new Uint8Array(random() * 2000).map(() => random() * 256);
      const { result } = await against(async (peer) => {
        const nonce = await reach(peer, state);
        // Some of it in frames that are sound, or in an offer that is.
        switch (Math.floor(random() * 4)) {
          case 0:
            return await peer.bytes(bytes);
          case 1:
            return await peer.send(Math.ceil(random() * 10), bytes);
          case 2:
            return await peer.send(
              FRAME.offer,
              offerTo(nonce, {
                components: [{ kind: "machine", id: "x", version: 1 }],
                state: ["machine", "vcpu", "files", "fd-table"].map((kind) => ({
                  kind,
                  id: kind,
                  version: 1,
                  part: 0,
                  payload: bytes,
                })),
              }),
            );
          default:
            await peer.send(FRAME.data, bytes);
            return await peer.send(FRAME.data, bytes);
        }
      });
      // Refused for the reasons that it was told, or with an error.
      assert(result === undefined || result instanceof Error, `${result}`);
    }
  });
});

Deno.test("receive: every reason is told at once, whatever their lengths", async () => {
  const long = "x".repeat(64);
  const components = Array.from({ length: 4000 }, () => ({
    kind: long,
    id: long,
    version: 1,
  }));
  let answer: Record<string, unknown> = {};
  const { result, phase } = await against(async (peer) => {
    const nonce = await reach(peer, "preflight");
    await peer.send(
      FRAME.offer,
      offerTo(nonce, {
        architecture: "sparc",
        formatVersion: FORMAT_VERSION + 1,
        components: [{ kind: "machine", id: "m", version: 9 }, ...components],
      }),
    );
    answer = await peer.value(FRAME.answer);
    // It ends, so that the answer is not taken back.
    assertEquals(await peer.receive(), undefined);
  });
  assertEquals([result, phase], [undefined, "preflight"]);
  const reasons = answer.reasons as string[];
  assertEquals(reasons.length, 100);
  assertEquals(reasons.slice(0, 4), [
    `Its architecture is sparc, must be ${ARCHITECTURE}`,
    `Its image has format ${FORMAT_VERSION + 1}, must be <= ${FORMAT_VERSION}`,
    'The version of machine "m" is 9, must be <= 1',
    `Nothing here takes ${long} "${long}"`,
  ]);
});

Deno.test("receive: one that failed does not keep the next from coming", async () => {
  await using scratch = new Scratch();
  const name = `unix:${scratch.file("vm.sock")}`;
  await tidily(async () => {
    await using receiver = await listenForVms(name);
    for (let i = 0; i < 3; i++) {
      const bad = receiver.receive().catch((error) => error);
      {
        using peer = new RawPeer(await dial(receiver.name));
        await peer.send(FRAME.commit);
        assertEquals((await peer.receive())?.type, FRAME.failed);
      }
      assertFailed(await bad, "MIGRATION_PROTOCOL", /it sent commit, expected/);
      const asked = receiver.receive();
      using peer = new RawPeer(await dial(receiver.name));
      const nonce = await reach(peer, "preflight");
      await peer.send(FRAME.offer, offerTo(nonce, { isQuestion: true }));
      assertEquals((await peer.value(FRAME.answer)).reasons, []);
      await peer.end();
      assertEquals(await asked, undefined);
    }
    const left = receiver.receive();
    await receiver.close();
    assertEquals(await left, undefined);
  });
});

Deno.test("receive: options that make no sense leave no connection", async () => {
  await tidily(async () => {
    await using receiver = await listenForVms("tcp://127.0.0.1:0");
    const error = await receiver.receive({ timeoutMs: -1 })
      .catch((error) => error);
    assert(error instanceof RangeError);
  });
});
