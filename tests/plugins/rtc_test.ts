import { assert, assertEquals, assertThrows } from "@std/assert";
import { ERRNO, loadDevice } from "../../mod.ts";
import rtc from "../../plugins/rtc.ts";
import { testDevice } from "../../src/testing/mod.ts";
import { kvmTest } from "../kvm_gate.ts";
import { delay, guest, Scratch, TestVm } from "../support.ts";
import { BareDevice, type BareFile } from "./bare_device.ts";

const PATH = new URL("../../plugins/rtc.ts", import.meta.url).pathname;

/** Requests (linux/rtc.h). */
const ALARM_ON = 0x7001;
const SET_ALARM = 0x4024_7007;
const READ_TIME = 0x8024_7009;
const SET_TIME = 0x4024_700a;
const SET_WAKE_ALARM = 0x4028_700f;
const READ_WAKE_ALARM = 0x8028_7010;

/** A `struct rtc_time`: 14 March 2001, 15:09:26. */
function someTime(change: Record<number, number | undefined> = {}): Uint8Array {
  const fields = [26, 9, 15, 14, 2, 101, 0, 0, 0];
  for (const [i, value] of Object.entries(change)) fields[Number(i)] = value!;
  return new Uint8Array(new Int32Array(fields).buffer);
}

function fields(time: Uint8Array): number[] {
  return [...new Int32Array(time.slice().buffer)];
}

/** The hour it shows, as seconds since 1970. */
function shown(file: BareFile): number {
  const time = new Uint8Array(36);
  assertEquals(file.ioctl(READ_TIME, time), 0);
  const [second, minute, hour, day, month, year] = fields(time);
  return Date.UTC(1900 + year, month, day, hour, minute, second) / 1000;
}

/** Sets an alarm so many seconds from what the clock shows. */
function setAlarm(file: BareFile, seconds: number): void {
  const date = new Date((shown(file) + seconds) * 1000);
  const data = new Uint8Array(40);
  data[0] = 1;
  const time = someTime({
    0: date.getUTCSeconds(),
    1: date.getUTCMinutes(),
    2: date.getUTCHours(),
    3: date.getUTCDate(),
    4: date.getUTCMonth(),
    5: date.getUTCFullYear() - 1900,
  });
  data.set(time, 4);
  assertEquals(file.ioctl(SET_WAKE_ALARM, data), 0);
}

testDevice(() => rtc({ offset: -3600 }), async (device) => {
  const file = device.open("/dev/rtc0");
  assertEquals(await file.ioctl(SET_TIME, someTime() as never), 0);
  const alarm = new Uint8Array(40);
  alarm[0] = 1;
  alarm.set(someTime({ 5: 150 }), 4);
  assertEquals(await file.ioctl(SET_WAKE_ALARM, alarm), 0);
  file.close();
});

Deno.test("rtc: it shows the wall clock, ahead by what was chosen", async () => {
  for (const offset of [0, 86400 * 400, -7200]) {
    await using device = new BareDevice(rtc({ offset }));
    const before = Math.floor(Date.now() / 1000) + offset;
    const time = shown(device.open());
    assert(time >= before && time <= Date.now() / 1000 + offset);
  }
});

Deno.test("rtc: days and months are those of the calendar", async () => {
  await using device = new BareDevice(rtc());
  const file = device.open();
  const alarm = new Uint8Array(40);
  for (
    const [change, weekday, dayOfYear] of [
      [{}, 3, 72],
      [{ 3: 29, 4: 1, 5: 100 }, 2, 59],
      [{ 3: 31, 4: 11, 5: 124 }, 2, 365],
    ] as const
  ) {
    alarm.set(someTime(change), 4);
    assertEquals(file.ioctl(SET_WAKE_ALARM, alarm.slice()), 0);
    const data = new Uint8Array(40);
    assertEquals(file.ioctl(READ_WAKE_ALARM, data), 0);
    const expected = fields(someTime({ ...change, 6: weekday, 7: dayOfYear }));
    assertEquals(fields(data.subarray(4)), expected);
  }
});

Deno.test("rtc: a time that is none is refused", async () => {
  await using device = new BareDevice(rtc());
  const file = device.open();
  for (
    const change of [
      { 0: 60 },
      { 1: -1 },
      { 2: 24 },
      { 3: 0 },
      { 3: 29, 4: 1 },
      { 4: 12 },
      { 5: 69 },
      { 5: 2 ** 31 - 1 },
      { 3: -(2 ** 31) },
    ]
  ) {
    assertEquals(file.ioctl(SET_TIME, someTime(change)), -ERRNO.EINVAL);
  }
  assertEquals(file.ioctl(SET_ALARM, someTime({ 2: 24 })), -ERRNO.EINVAL);
  assertEquals(file.ioctl(0x7003, new Uint8Array()), -ERRNO.ENOTTY);
  assertEquals(await file.read(7), -ERRNO.EINVAL);
  assertThrows(() => device.open(), Error, `errno ${ERRNO.EBUSY}`);
});

Deno.test("rtc: a read waits for the alarm, and poll knows of it", async () => {
  await using device = new BareDevice(rtc({ offset: 1e6 }));
  const file = device.open();
  setAlarm(file, 1);
  assertEquals(file.handle.poll!(1), 0);
  const read = file.read(8);
  assertEquals((await read as string).length, 8);
  assertEquals(file.handle.poll!(1), 0);
  setAlarm(file, -5); // it has passed
  assertEquals(file.handle.poll!(1), 1);
  assertEquals((await file.read(4) as string).length, 4);
});

Deno.test("rtc: an alarm of a time of day is the next one, and off until it is switched on", async () => {
  await using device = new BareDevice(rtc());
  const file = device.open();
  assertEquals(file.ioctl(SET_TIME, someTime()), 0);
  const data = new Uint8Array(40);
  assertEquals(file.ioctl(SET_ALARM, someTime({ 0: 20, 3: -1, 4: 99 })), 0);
  assertEquals(file.ioctl(READ_WAKE_ALARM, data), 0);
  assertEquals(data[0], 0);
  assertEquals(fields(data.subarray(4)).slice(0, 6), [20, 9, 15, 15, 2, 101]);
  assertEquals(file.ioctl(ALARM_ON, new Uint8Array()), 0);
  assertEquals(file.ioctl(READ_WAKE_ALARM, data), 0);
  assertEquals(data[0], 1);
});

Deno.test("rtc: an alarm that passed while the VM was saved comes at once", async () => {
  await using first = new BareDevice(rtc());
  setAlarm(first.open(), 3600);
  const saved = await first.save();
  const state = saved[0].value as { alarmSeconds: number; isEnabled: boolean };
  assertEquals(state.isEnabled, true);
  // As if the image had lain for two hours.
  const old = { ...state, alarmSeconds: state.alarmSeconds - 7200 };
  await using second = new BareDevice(rtc(), [{ ...saved[0], value: old }]);
  assertEquals((await second.open({}).read(8) as string).length, 8);
  await using third = new BareDevice(rtc(), saved);
  assertEquals(third.open({}).handle.poll!(1), 0);
});

kvmTest(
  "rtc: a clock is right and an alarm comes after a restore",
  async () => {
    await using scratch = new Scratch();
    const image = scratch.file("vm.img");
    const [program] = await guest("rtc");
    const args = "clock ahead -9999999 clock alarm 6 wait clock".split(" ");
    await using unbroken = await TestVm.create({
      program,
      args,
      devices: [rtc()],
    });
    assertEquals(await unbroken.run(), { kind: "exited", code: 0 });
    assertEquals(
      unbroken.output.stdout,
      "clock: right\nclock: right\nwaiting\nalarm: 1, flags 0xa0, in time\nclock: right\n",
    );

    await using first = await TestVm.create({
      program,
      args,
      devices: [await loadDevice(PATH)],
    });
    const ended = first.run();
    await first.until("waiting");
    await first.vm.save(image, { stop: true });
    assertEquals(await ended, { kind: "saved" });
    assertEquals(first.output.stdout.includes("alarm"), false);
    for (const waitMs of [0, 7000]) {
      await delay(waitMs); // the second time the alarm has passed
      // The image alone brings the clock back.
      await using second = await TestVm.restore(image, {}, first);
      assertEquals(await second.run(), { kind: "exited", code: 0 });
      assertEquals(second.output.stdout, unbroken.output.stdout);
      assertEquals(second.warnings, []);
    }
  },
);
