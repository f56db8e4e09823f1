/**
 * /dev/rtc0: a clock that is right after a restore, with an alarm.
 *
 * It shows the host's wall clock, plus an offset if the program set another
 * time. An alarm is a moment of that clock: a program that was saved while it
 * waits for one is woken when the moment comes, or at once if it has passed.
 *
 * As <linux/rtc.h> has it: RTC_RD_TIME, RTC_SET_TIME, RTC_ALM_SET, RTC_ALM_READ,
 * RTC_WKALM_SET, RTC_WKALM_RD, RTC_AIE_ON and RTC_AIE_OFF; a read waits for the
 * alarm, poll says whether there was one. One program has it open at a time.
 *
 * Options: `offset` (what a new clock is ahead of the host's, seconds; may be
 * negative; default 0).
 *
 * @module
 */

import { defineDevice, type DeviceHandle, ERRNO } from "../mod.ts";

/** What the clock is when the VM is saved. */
interface RtcStateV1 {
  /** What it is ahead of the host's wall clock, ms. */
  readonly offsetMs: number;
  /** When the alarm is, seconds since 1970 of this clock; null: never set. */
  readonly alarmSeconds: number | null;
  /** Whether the alarm is on. */
  readonly isEnabled: boolean;
  /** How many alarms there were that the program has not read. */
  readonly interrupts: number;
}

/** Requests (linux/rtc.h). */
const RTC = {
  alarmOn: 0x7001,
  alarmOff: 0x7002,
  setAlarm: 0x4024_7007,
  readAlarm: 0x8024_7008,
  readTime: 0x8024_7009,
  setTime: 0x4024_700a,
  setWakeAlarm: 0x4028_700f,
  readWakeAlarm: 0x8028_7010,
} as const;

/** What a read gives beside the count: RTC_IRQF and RTC_AF. */
const ALARM_FLAGS = 0x80 | 0x20;
/** Most that are counted: what a read gives has room for 24 bits. */
const MAX_INTERRUPTS = 2 ** 24 - 1;
const POLLIN = 1;
const DAY_SECONDS = 24 * 60 * 60;
/** The last second of 9999; what an offset can be at most, too. */
const MAX_SECONDS = 253_402_300_799;
/** The wall clock may be set meanwhile: it is looked at so often, ms. */
const LOOK_AGAIN_MS = 10_000;
/** Where the `struct rtc_time` of a `struct rtc_wkalrm` is, bytes. */
const WAKE_TIME_OFFSET = 4;

/** Writes a `struct rtc_time`. */
function writeTime(view: DataView, offset: number, seconds: number): void {
  const date = new Date(seconds * 1000);
  const newYear = Date.UTC(date.getUTCFullYear(), 0);
  [
    date.getUTCSeconds(),
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth(),
    date.getUTCFullYear() - 1900,
    date.getUTCDay(),
    Math.floor((date.getTime() - newYear) / (DAY_SECONDS * 1000)),
    0,
  ].forEach((field, i) => view.setInt32(offset + i * 4, field, true));
}

/** Reads a `struct rtc_time`; `undefined` for a day that does not exist. */
function readTime(view: DataView, offset: number): number | undefined {
  const [second, minute, hour, day, month, year] = Array.from(
    { length: 6 },
    (_, i) => view.getInt32(offset + i * 4, true),
  );
  const fits = year >= 70 && year < 8100 && second >= 0 && second < 60 &&
    minute >= 0 && minute < 60 && hour >= 0 && hour < 24;
  const date = new Date(
    Date.UTC(1900 + year, month, day, hour, minute, second),
  );
  return fits && date.getUTCMonth() === month && date.getUTCDate() === day
    ? date.getTime() / 1000
    : undefined;
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && value as number >= min &&
    value as number <= max;
}

export default defineDevice({
  kind: "rtc",
  version: 1,
  contained: true,
  state: {
    "~standard": {
      vendor: "scratchvm",
      validate(value) {
        const { offsetMs, alarmSeconds, isEnabled, interrupts } = Object(
          value,
        ) as Partial<RtcStateV1>;
        const most = MAX_SECONDS * 1000;
        if (!isWhole(offsetMs, -most, most)) {
          return { issues: [{ message: "offsetMs must be whole, in range" }] };
        }
        if (alarmSeconds !== null && !isWhole(alarmSeconds, 0, MAX_SECONDS)) {
          return {
            issues: [{ message: "alarmSeconds must be null or whole" }],
          };
        }
        if (
          typeof isEnabled !== "boolean" ||
          !isWhole(interrupts, 0, MAX_INTERRUPTS)
        ) {
          return { issues: [{ message: "there must be a flag and a count" }] };
        }
        return { value: { offsetMs, alarmSeconds, isEnabled, interrupts } };
      },
    },
  },
  config: (values) => ({
    offsetSeconds: values.number("offset", {
      default: 0,
      min: -MAX_SECONDS,
      max: MAX_SECONDS,
    }),
  }),
  create({ config, signal, wake }, saved?: RtcStateV1) {
    let offsetMs = saved?.offsetMs ?? config.offsetSeconds * 1000;
    let alarmSeconds = saved?.alarmSeconds ?? null;
    let isEnabled = saved?.isEnabled ?? false;
    let interrupts = saved?.interrupts ?? 0;
    let isOpen = false;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const nowSeconds = () => Math.floor((Date.now() + offsetMs) / 1000);

    /** Sees to it that the alarm comes when it is due: now, or later. */
    function arm(): void {
      clearTimeout(timer);
      if (signal.aborted || !isEnabled || alarmSeconds === null) return;
      const leftMs = alarmSeconds * 1000 - offsetMs - Date.now();
      if (leftMs > 0) {
        timer = setTimeout(arm, Math.min(leftMs, LOOK_AGAIN_MS));
        return;
      }
      isEnabled = false;
      interrupts = Math.min(interrupts + 1, MAX_INTERRUPTS);
      wake();
    }
    signal.addEventListener("abort", () => clearTimeout(timer));
    arm();

    const handle: DeviceHandle = {
      read(lengthBytes) {
        if (lengthBytes < 8 && lengthBytes !== 4) return -ERRNO.EINVAL;
        // The call waits for `wake`, and is made again: also after a restore.
        if (interrupts === 0) return -ERRNO.EAGAIN;
        const data = new Uint8Array(lengthBytes < 8 ? 4 : 8);
        const word = interrupts * 256 + ALARM_FLAGS;
        new DataView(data.buffer).setUint32(0, word, true);
        interrupts = 0;
        return data;
      },
      poll: () => interrupts > 0 ? POLLIN : 0,
      ioctl(request, data) {
        const view = new DataView(data.buffer, data.byteOffset, data.length);
        switch (request) {
          case RTC.readTime:
            writeTime(view, 0, nowSeconds());
            return 0;
          case RTC.setTime: {
            const seconds = readTime(view, 0);
            if (seconds === undefined) return -ERRNO.EINVAL;
            offsetMs = seconds * 1000 - Date.now();
            break;
          }
          case RTC.setAlarm: {
            // Only the time of day counts: it is the next one.
            const now = nowSeconds();
            const today = Math.floor(now / DAY_SECONDS) * DAY_SECONDS;
            const [second, minute, hour] = [0, 4, 8].map((at) =>
              view.getInt32(at, true)
            );
            if (
              !isWhole(second, 0, 59) || !isWhole(minute, 0, 59) ||
              !isWhole(hour, 0, 23)
            ) return -ERRNO.EINVAL;
            const time = today + hour * 3600 + minute * 60 + second;
            const at = time < now ? time + DAY_SECONDS : time;
            if (!isWhole(at, 0, MAX_SECONDS)) return -ERRNO.EINVAL;
            alarmSeconds = at;
            isEnabled = false;
            break;
          }
          case RTC.setWakeAlarm: {
            const seconds = readTime(view, WAKE_TIME_OFFSET);
            if (seconds === undefined) return -ERRNO.EINVAL;
            alarmSeconds = seconds;
            isEnabled = data[0] !== 0;
            break;
          }
          case RTC.readAlarm:
            writeTime(view, 0, alarmSeconds ?? 0);
            return 0;
          case RTC.readWakeAlarm:
            data[0] = isEnabled ? 1 : 0;
            data[1] = interrupts > 0 ? 1 : 0;
            writeTime(view, WAKE_TIME_OFFSET, alarmSeconds ?? 0);
            return 0;
          case RTC.alarmOn:
            isEnabled = alarmSeconds !== null;
            break;
          case RTC.alarmOff:
            isEnabled = false;
            break;
          default:
            return -ERRNO.ENOTTY;
        }
        arm();
        return 0;
      },
      close: () => void (isOpen = false),
    };
    return {
      files: {
        "/dev/rtc0"({ isAgain }) {
          if (isOpen) return -ERRNO.EBUSY;
          isOpen = true;
          // What came before is of no interest to who opens it now.
          if (!isAgain) interrupts = 0;
          return handle;
        },
      },
      dump: (): RtcStateV1 => ({
        offsetMs,
        alarmSeconds,
        isEnabled,
        interrupts,
      }),
    };
  },
});
