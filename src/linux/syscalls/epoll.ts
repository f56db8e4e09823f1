/**
 * System calls on sets of files that are waited for together (epoll(7)).
 *
 * @module
 */

import { EpollFile, O, POLL } from "../../devices/mod.ts";
import { ERRNO } from "../../kvm/mod.ts";
import type { Linux } from "../linux.ts";
import type { CallArguments } from "../trace.ts";
import { install } from "./limits.ts";
import type { SyscallTable } from "./mod.ts";
import { deadlineOf } from "./poll.ts";
import { setCallMask } from "./signals.ts";

/** What epoll_ctl does (linux/eventpoll.h). */
const CTL = { add: 1, delete: 2, modify: 3 } as const;

/** Bytes of a `struct epoll_event`: packed on x86-64. */
const EVENT_BYTES = 12;

/** Most events of one call (EP_MAX_EVENTS). */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EVENT_BYTES);

function create(linux: Linux, flags: number): number {
  if (flags & ~O.closeOnExec) return -ERRNO.EINVAL;
  return install(linux, new EpollFile(), (flags & O.closeOnExec) !== 0);
}

/** epoll_wait and its kin; `end` reads when it ends at the latest. */
function wait(
  linux: Linux,
  args: CallArguments,
  end: () => number | null,
): number {
  const fd = args.int(0);
  const va = args.u64(1);
  const most = args.int(2);
  const file = linux.fds.file(fd);
  if (!file || file.flags & O.path) return -ERRNO.EBADF;
  if (most <= 0 || most > MAX_EVENTS) return -ERRNO.EINVAL;
  if (!linux.user.inRange(va, most * EVENT_BYTES)) return -ERRNO.EFAULT;
  if (!(file instanceof EpollFile)) return -ERRNO.EINVAL;
  const event = new DataView(new ArrayBuffer(EVENT_BYTES));
  let at = va;
  const count = file.take(most, (events, data) => {
    event.setUint32(0, events, true);
    event.setBigUint64(4, data, true);
    if (linux.user.writeStruct(at, event) < 0) return false;
    at += EVENT_BYTES;
    return true;
  });
  if (count !== 0) return count;
  const deadlineNs = linux.resumed ? linux.resumed.deadlineNs : end();
  if (deadlineNs !== null && linux.clock.monotonicNs() >= deadlineNs) return 0;
  const waitsFor = [{ descriptor: fd, events: POLL.in }];
  return linux.waitFor({ waitsFor, deadlineNs });
}

/** When a call ends that is given milliseconds; less than 0: never. */
function milliseconds(linux: Linux, timeoutMs: number): number | null {
  if (timeoutMs < 0) return null;
  return linux.clock.monotonicNs() + timeoutMs * 1e6;
}

/** Calls on sets of files. */
export const epollCalls: SyscallTable = {
  epoll_create(linux, args) {
    return args.int(0) <= 0 ? -ERRNO.EINVAL : create(linux, 0);
  },
  epoll_create1(linux, args) {
    return create(linux, args.int(0));
  },
  epoll_ctl(linux, args) {
    const operation = args.int(1);
    const fd = args.int(2);
    const event = operation === CTL.delete
      ? undefined
      : linux.user.readStruct(args.u64(3), EVENT_BYTES);
    if (operation !== CTL.delete && !event) return -ERRNO.EFAULT;
    const set = linux.fds.file(args.int(0));
    const file = linux.fds.file(fd);
    if (!set || set.flags & O.path) return -ERRNO.EBADF;
    if (!file || file.flags & O.path) return -ERRNO.EBADF;
    if (!file.isWatchable) return -ERRNO.EPERM;
    if (set === file || !(set instanceof EpollFile)) return -ERRNO.EINVAL;
    const events = event?.getUint32(0, true) ?? 0;
    const data = event?.getBigUint64(4, true) ?? 0n;
    switch (operation) {
      case CTL.add:
        return set.add(fd, file, events, data);
      case CTL.delete:
        return set.delete(fd, file);
      case CTL.modify:
        return set.modify(fd, file, events, data);
      default:
        return -ERRNO.EINVAL;
    }
  },
  epoll_wait(linux, args) {
    return wait(linux, args, () => milliseconds(linux, args.int(3)));
  },
  epoll_pwait(linux, args) {
    const maskFault = setCallMask(linux, args.u64(4), args.u64(5));
    if (maskFault < 0) return maskFault;
    return wait(linux, args, () => milliseconds(linux, args.int(3)));
  },
  epoll_pwait2(linux, args) {
    const timeVa = args.u64(3);
    const end = timeVa === 0 ? undefined : deadlineOf(linux, timeVa, 1);
    if (typeof end === "number") return end;
    const maskFault = setCallMask(linux, args.u64(4), args.u64(5));
    if (maskFault < 0) return maskFault;
    return wait(linux, args, () => end?.deadlineNs ?? null);
  },
};
